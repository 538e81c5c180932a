# The ways in which the stand-in fails, in the words of the real ones.

# Whether this failure is asked for, and not only for a run before this one.
function wanted {
    [[ "$STAND_IN_FAIL" == "$1" && ! -e $TOP_DIR/.stand-in-failed ]]
}

function fail_if {
    local name
    for name in "$@"; do
        if wanted $name; then
            fail $name
        fi
    done
}

function fail {
    if [[ "$STAND_IN_FAIL_ONCE" == "True" ]]; then
        touch $TOP_DIR/.stand-in-failed
    fi
    fail_$1
}

function fail_git {
    mkdir -p $DEST/nova/.git
    echo "Cloning into '$DEST/nova'..."
    echo "fatal: unable to connect to 192.0.2.1:"
    echo "192.0.2.1[0: 192.0.2.1]: errno=Connection refused"
    if [[ "$STAND_IN_FAIL_ONCE" == "True" ]]; then
        rm -rf $DEST/nova
    fi
    die $LINENO "git call failed: [git clone $GIT_BASE/openstack/nova.git $DEST/nova]"
}

function fail_apt {
    echo "Err:1 http://mirror.example.org/debian bookworm InRelease"
    echo "  Could not connect to mirror.example.org:80 (192.0.2.2). - connect (113: No route to host)"
    echo "E: Unable to locate package libpcre3-dev"
    die $LINENO "Failed to update apt repos, we're dead now"
}

function fail_disk {
    echo "dpkg: error processing archive /var/cache/apt/archives/mariadb-server-core.deb (--unpack):"
    echo " cannot copy extracted data for './usr/sbin/mariadbd' to '/usr/sbin/mariadbd.dpkg-new': failed to write (No space left on device)"
    echo "E: Sub-process /usr/bin/dpkg returned an error code (1)"
    return 100
}

function fail_locale {
    echo "locale.Error: unsupported locale setting"
    return 1
}

function fail_rabbit {
    echo "Error: unable to perform an operation on node 'rabbit@$(hostname)'. Please see diagnostics information and suggestions below."
    die $LINENO "Failed to set rabbitmq password"
}

function fail_pip {
    echo "ERROR: Cannot install oslo.config===10.2.0 and oslo.config>=10.3.0 because these package versions have conflicting dependencies."
    echo "The conflict is caused by:"
    echo "    nova 33.0.0 depends on oslo.config>=10.3.0"
    echo "    The user requested (constraint) oslo.config===10.2.0"
    echo "ERROR: ResolutionImpossible: for help visit the documentation"
    return 1
}

function fail_memory {
    echo "$TOP_DIR/inc/python: line 215:  4711 Killed                  sudo -H pip install -e $DEST/nova"
    return 137
}

function fail_port {
    echo "Job for apache2.service failed because the control process exited with error code."
    echo "(98)Address already in use: AH00072: make_sock: could not bind to address [::]:80"
    echo "no listening sockets available, shutting down"
    return 1
}

function fail_database {
    echo "ERROR 2002 (HY000): Can't connect to local server through socket '/run/mysqld/mysqld.sock' (2)"
    return 1
}

function fail_service {
    local seconds=${NOVA_READY_TIMEOUT:-60}
    sleep ${STAND_IN_DELAY:-0}
    echo "Didn't find service registered by hostname after $seconds seconds"
    return 124
}
