# Functions of the stand-in, in the manner of DevStack's own. Sourced by all of its scripts.

# In a folder of a test there are no root's rights and no systemd: STAND_IN_ROOT stands for /.
if [[ -n "$STAND_IN_ROOT" ]]; then
    function sudo { "$@"; }
fi

function backtrace {
    local level=$1
    local deep
    deep=$((${#BASH_SOURCE[@]} - 1))
    echo "[Call Trace]"
    while [ $level -le $deep ]; do
        echo "${BASH_SOURCE[$deep]}:${BASH_LINENO[$deep-1]}:${FUNCNAME[$deep-1]}"
        deep=$((deep - 1))
    done
}

function die {
    local exitcode=$?
    set +o xtrace
    local line=$1; shift
    if [ $exitcode == 0 ]; then
        exitcode=1
    fi
    backtrace 2
    echo "[ERROR] ${BASH_SOURCE[1]}:$line $*" 1>&2
    # Give buffers a moment to flush
    sleep 0.2
    exit $exitcode
}

function trueorfalse {
    case "${!2,,}" in
        yes|true|1) echo True ;;
        no|false|0) echo False ;;
        *) echo $1 ;;
    esac
}

function is_service_enabled {
    local service
    for service in "$@"; do
        [[ ,${ENABLED_SERVICES}, =~ ,${service}, ]] && return 0
        [[ $service == nova && ,$ENABLED_SERVICES =~ ,n- ]] && return 0
        [[ $service == glance && ,$ENABLED_SERVICES =~ ,g- ]] && return 0
        [[ $service == neutron && ,$ENABLED_SERVICES =~ ,q- ]] && return 0
        [[ $service == keystone && ,$ENABLED_SERVICES, =~ ,key, ]] && return 0
        [[ $service == placement && ,$ENABLED_SERVICES, =~ ,placement-api, ]] && return 0
    done
    return 1
}

# Each service without those that are named with a minus, as in ENABLED_SERVICES+=,-n-cpu
function disable_negated_services {
    local service kept=""
    for service in ${ENABLED_SERVICES//,/ }; do
        [[ $service == -* || ,$ENABLED_SERVICES, =~ ,-$service, ]] || kept+=",$service"
    done
    ENABLED_SERVICES=${kept#,}
}

function enable_service {
    local service
    for service in "$@"; do
        is_service_enabled "$service" || ENABLED_SERVICES+=",$service"
    done
}

function disable_service {
    local service
    for service in "$@"; do
        ENABLED_SERVICES+=",-$service"
    done
    disable_negated_services
}

function disable_all_services {
    ENABLED_SERVICES=""
}

function enable_plugin {
    DEVSTACK_PLUGINS+=",$1"
}

# The lines of a section of local.conf: get_meta_section FILE PHASE NAME
function get_meta_section {
    awk -v wanted="[[$2|$3]]" '
        /^\[\[.+\|.*\]\]/ { inside = ($1 == wanted); next }
        inside { print }
    ' "$1"
}

# The named files of a phase get the options of its sections: merge_config_group FILE PHASE
function merge_config_group {
    local name file
    for name in $(sed -n "s/^\[\[$2|\(.*\)\]\].*/\1/p" "$1"); do
        file=$(eval "echo $name")
        sudo mkdir -p "$(dirname "$file")"
        get_meta_section "$1" "$2" "$name" | sudo tee -a "$file" >/dev/null
    done
}

function systemd_runs {
    [[ -z "$STAND_IN_ROOT" && -d /run/systemd/system ]]
}

# Where the services are noted if there is no systemd to run them.
function noted_service {
    echo "$DEST/status/devstack@$1"
}

function run_process {
    local service=$1 command="$2"
    local unit=$STAND_IN_ROOT/etc/systemd/system/devstack@$service.service
    sudo mkdir -p "$(dirname "$unit")"
    sudo tee "$unit" >/dev/null <<UNIT
[Unit]
Description = Devstack devstack@$service.service

[Service]
Environment = "PATH=$PATH"
User = $STACK_USER
ExecStart = $command
KillMode = process
TimeoutStopSec = 300

[Install]
WantedBy = multi-user.target
UNIT
    if systemd_runs; then
        sudo systemctl daemon-reload
        sudo systemctl enable "devstack@$service.service"
        sudo systemctl start "devstack@$service.service"
    else
        mkdir -p "$DEST/status"
        touch "$(noted_service "$service")"
    fi
}

function is_running {
    if systemd_runs; then
        systemctl is-active -q "devstack@$1.service"
    else
        [[ -e "$(noted_service "$1")" ]]
    fi
}

function stop_process {
    if systemd_runs; then
        sudo systemctl stop "devstack@$1.service"
        sudo systemctl disable "devstack@$1.service"
    else
        rm -f "$(noted_service "$1")"
    fi
}

# The names of the services that have a unit file.
function unit_services {
    local unit
    for unit in "$STAND_IN_ROOT"/etc/systemd/system/devstack@*.service; do
        unit=${unit##*/devstack@}
        [[ $unit == "*.service" ]] || echo "${unit%.service}"
    done
}

declare -A _TIME_TOTAL=()
declare -A _TIME_START=()
_TIME_BEGIN=$(date +%s)

function time_start {
    _TIME_START[$1]=$(date +%s%3N)
}

function time_stop {
    local spent=$(($(date +%s%3N) - ${_TIME_START[$1]}))
    _TIME_TOTAL[$1]=$((${_TIME_TOTAL[$1]:-0} + spent))
}

function time_totals {
    local elapsed_time unaccounted_time len=20 t v
    elapsed_time=$(($(date +%s) - _TIME_BEGIN))
    unaccounted_time=$elapsed_time
    echo
    echo "========================="
    echo "DevStack Component Timing"
    echo " (times are in seconds)  "
    echo "========================="
    for t in ${!_TIME_TOTAL[*]}; do
        v=$((${_TIME_TOTAL[$t]} / 1000))
        printf "%-${len}s %3d\n" "$t" "$v"
        unaccounted_time=$((unaccounted_time - v))
    done
    echo "-------------------------"
    printf "%-${len}s %3d\n" "Unaccounted time" "$unaccounted_time"
    echo "========================="
    printf "%-${len}s %3d\n" "Total runtime" "$elapsed_time"
}
