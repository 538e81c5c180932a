# Time stamps for the lines of the log: outfilter [-v] FILE; -v: to the output too.
verbose=""
if [[ $1 == -v ]]; then verbose=1; shift; fi
export TZ=UTC
while IFS= read -r line || [[ -n $line ]]; do
    case $line in *'set +o'*|*xtrace*) continue ;; esac
    if [[ ! $line =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}\ [0-9:.]+\ \| ]]; then
        printf -v now '%(%F %T)T' -1
        fraction=${EPOCHREALTIME#*[.,]}
        line="$now.${fraction:0:3} | $line"
    fi
    printf '%s\n' "$line" >>"$1"
    if [[ -n $verbose ]]; then printf '%s\n' "$line"; fi
done
