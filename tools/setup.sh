# Shared by quickstart.sh and run_tests.sh; sourced, with the repository as working folder.

say() {
    printf '\n== %s\n' "$*"
}

# Installs those of the Debian or Ubuntu packages that are not there yet.
install_packages() {
    missing=""
    for package in "$@"; do
        if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "ok installed"; then
            missing="$missing $package"
        fi
    done
    if [ -z "$missing" ]; then
        return 0
    fi
    export DEBIAN_FRONTEND=noninteractive
    # A source that cannot be reached does not matter as long as the packages can be had.
    apt-get update -q || echo "apt-get update had errors; going on with the lists there are"
    # shellcheck disable=SC2086
    apt-get install -q -y --no-install-recommends $missing
}

# make_venv FOLDER REQUIREMENT: a virtual environment with this project installed editable.
make_venv() {
    [ -x "$1/bin/python" ] || python3 -m venv "$1"
    "$1/bin/python" -m pip install -q --disable-pip-version-check -e "$2"
}
