#!/usr/bin/env bash
# A small stand-in for DevStack's stack.sh: the same phases, output and traces, in seconds.
#
# Variables of local.conf that only it knows:
#   STAND_IN_FAIL       where and how it fails: see the function "fail" in functions-fail
#   STAND_IN_FAIL_ONCE  True: only the first time; run again it goes through
#   STAND_IN_DELAY      seconds that each phase takes (default 0)
#   STAND_IN_ROOT       a folder in place of /, for runs without sudo and systemd
#   STAND_IN_UNSTACK_FAIL  True: unstack.sh fails
set -o xtrace
unset LANG
unset LANGUAGE
LC_ALL=en_US.utf8
export LC_ALL
umask 022
PATH=$PATH:/usr/local/bin:/usr/local/sbin:/usr/sbin:/sbin
TOP_DIR=$(cd $(dirname "$0") && pwd)
RC_DIR=$TOP_DIR

if [[ -r $TOP_DIR/.stackenv ]]; then
    rm $TOP_DIR/.stackenv
fi
for folder in files inc lib; do
    if [ ! -d $TOP_DIR/$folder ]; then
        set +o xtrace
        echo "missing devstack/$folder"
        exit 1
    fi
done
if [[ $EUID -eq 0 ]]; then
    set +o xtrace
    echo "DevStack should be run as a user with sudo permissions, "
    echo "not root."
    echo "A \"stack\" user configured correctly can be created with:"
    echo " $TOP_DIR/tools/create-stack-user.sh"
    exit 1
fi

source $TOP_DIR/functions
rm -f $TOP_DIR/.localrc.auto
if [[ -r $TOP_DIR/local.conf ]]; then
    echo "# Generated file, do not edit" >$TOP_DIR/.localrc.auto
    get_meta_section $TOP_DIR/local.conf local localrc >>$TOP_DIR/.localrc.auto
fi
source $TOP_DIR/stackrc
source $TOP_DIR/functions
source $TOP_DIR/functions-fail

os_CODENAME=$(. /etc/os-release; echo "${VERSION_CODENAME:-unknown}")
DISTRO=$os_CODENAME
if wanted unsupported; then
    DISTRO=buster
fi
if [[ $DISTRO == buster ]]; then
    echo "WARNING: this script has not been tested on $DISTRO"
    if [[ "$FORCE" != "yes" ]]; then
        die $LINENO "If you wish to run this script anyway run with FORCE=yes"
    fi
fi

sudo mkdir -p $DEST $ETC
sudo chown $STACK_USER $DEST
sudo tee $ETC/devstack-version >/dev/null <<VERSION
DevStack Version: 2026.1
Change: $(git -C $TOP_DIR log --format="%H %s %ci" -1)
OS Version: Debian 12 $os_CODENAME
VERSION
mkdir -p $DATA_DIR $DEST/status
rm -rf $DEST/async
mkdir -p $DEST/async

function echo_summary {
    echo -e "$@" >&6
}

exec 3>&1
if [[ -n "$LOGFILE" ]]; then
    mkdir -p "${LOGFILE%/*}"
    LOGFILE_LINK=$LOGFILE
    CURRENT_LOG_TIME=$(date "+%F-%H%M%S")
    LOGFILE=$LOGFILE.$CURRENT_LOG_TIME
    SUMFILE=$LOGFILE.summary.$CURRENT_LOG_TIME
    if [[ "$VERBOSE" == "True" ]]; then
        exec 1> >(bash $TOP_DIR/tools/outfilter.py -v "$LOGFILE") 2>&1
        exec 6> >(bash $TOP_DIR/tools/outfilter.py "$SUMFILE")
    else
        exec 1> >(bash $TOP_DIR/tools/outfilter.py "$LOGFILE") 2>&1
        exec 6> >(bash $TOP_DIR/tools/outfilter.py -v "$SUMFILE" >&3)
    fi
    echo_summary "stack.sh log $LOGFILE"
    ln -sf "$LOGFILE" "$LOGFILE_LINK"
    ln -sf "$SUMFILE" "$LOGFILE_LINK.summary"
else
    if [[ "$VERBOSE" != "True" ]]; then
        exec 1>/dev/null 2>&1
    fi
    exec 6> >(bash $TOP_DIR/tools/outfilter.py -v /dev/null >&3)
fi

trap exit_trap EXIT
function exit_trap {
    local r=$?
    if [[ $r -ne 0 ]]; then
        echo "Error on exit"
        # The filters write what they have before they see the end.
        sleep 0.2
    fi
    exit $r
}
trap err_trap ERR
function err_trap {
    local r=$?
    set +o xtrace
    if [[ -n "$LOGFILE" ]]; then
        echo "${0##*/} failed: full log in $LOGFILE"
    else
        echo "${0##*/} failed"
    fi
    exit $r
}
set -o errexit
uname -a

function read_password {
    local var=$1
    if [[ -z "${!var}" ]]; then
        echo ''
        echo '################################################################################'
        echo $2
        echo '################################################################################'
        echo "This value will be written to $TOP_DIR/.localrc.password file so you don't have to enter it "
        echo "again.  Use only alphanumeric characters."
        echo "If you leave this blank, a random default value will be used."
        echo "Enter a password now:"
        read -e $var
    fi
}
if is_service_enabled mysql; then
    read_password DATABASE_PASSWORD "ENTER A PASSWORD TO USE FOR THE DATABASE."
fi
if is_service_enabled rabbit; then
    read_password RABBIT_PASSWORD "ENTER A PASSWORD TO USE FOR RABBIT."
fi
if is_service_enabled keystone; then
    read_password SERVICE_PASSWORD "ENTER A SERVICE_PASSWORD TO USE FOR THE SERVICE AUTHENTICATION."
    read_password ADMIN_PASSWORD "ENTER A PASSWORD TO USE FOR HORIZON AND KEYSTONE (20 CHARS OR LESS)."
fi

function work {
    time_start $1
    sleep ${STAND_IN_DELAY:-0}
    time_stop $1
}

function git_clone {
    local name=$1
    if wanted git && [[ $name == nova ]]; then
        fail git
    fi
    if [[ -e $DEST/$name/.git && ! -e $DEST/$name/setup.py ]]; then
        echo "fatal: destination path '$DEST/$name' already exists and is not an empty directory."
        die $LINENO "git call failed: [git clone $GIT_BASE/openstack/$name.git $DEST/$name]"
    fi
    mkdir -p $DEST/$name/.git
    echo "Cloning into '$DEST/$name'..."
    touch $DEST/$name/setup.py
}

git_clone requirements
echo_summary "Installing package prerequisites"
fail_if apt disk locale
work apt-get

if is_service_enabled rabbit; then
    echo_summary "Starting RabbitMQ"
    fail_if rabbit
fi

echo_summary "Installing OpenStack project source"
work git_timed
for pair in key:keystone g-api:glance q-svc:neutron n-cpu:nova n-api:nova placement-api:placement; do
    if is_service_enabled ${pair%:*}; then
        git_clone ${pair#*:}
    fi
done
fail_if pip memory
work pip_install

if is_service_enabled mysql; then
    echo_summary "Configuring and starting MySQL"
    fail_if database
fi

sudo mkdir -p $ETC/openstack
sudo chown -R $STACK_USER $ETC/openstack
{
    echo "clouds:"
    for cloud in devstack:demo:demo devstack-admin:admin:admin devstack-admin-demo:admin:demo; do
        IFS=: read name user project <<<"$cloud"
        cat <<CLOUD
  $name:
    auth:
      auth_url: $KEYSTONE_SERVICE_URI
      password: $ADMIN_PASSWORD
      project_domain_id: default
      project_name: $project
      user_domain_id: default
      username: $user
    identity_api_version: '3'
    region_name: $REGION_NAME
    volume_api_version: '3'
CLOUD
    done
} >$ETC/openstack/clouds.yaml

# The real one lets an already running service be, while it makes its database anew.
ALREADY=""
if is_running n-cpu || is_running n-cpu-1; then
    ALREADY=yes
fi

if is_service_enabled keystone; then
    echo_summary "Starting Keystone"
    fail_if port
    run_process keystone "/bin/sleep infinity"
    work osc
fi
if is_service_enabled glance && is_service_enabled mysql; then
    echo_summary "Configuring Glance"
fi
if is_service_enabled neutron; then
    echo_summary "Configuring Neutron"
fi
if is_service_enabled placement; then
    echo_summary "Configuring placement"
fi
if is_service_enabled nova; then
    echo_summary "Configuring Nova"
    work dbsync
    sudo mkdir -p $ETC/nova
    sudo chown $STACK_USER $ETC/nova
    TRANSPORT=rabbit://$RABBIT_USERID:$RABBIT_PASSWORD@$RABBIT_HOST:5672/
    cat >$NOVA_CONF <<CONF
[DEFAULT]
host = $(hostname)
my_ip = $HOST_IP
transport_url = $TRANSPORT
state_path = $NOVA_STATE_PATH

[placement]
auth_url = $KEYSTONE_SERVICE_URI
CONF
    if is_service_enabled mysql; then
        cat >>$NOVA_CONF <<CONF

[database]
connection = mysql+pymysql://$DATABASE_USER:$DATABASE_PASSWORD@$MYSQL_HOST/nova_cell0?charset=utf8
CONF
    fi
fi
merge_config_group $TOP_DIR/local.conf post-config
if is_service_enabled n-api; then
    echo_summary "Starting Nova API"
    run_process n-api "/bin/sleep infinity"
fi
if is_service_enabled q-svc; then
    echo_summary "Starting Neutron"
    run_process q-svc "/bin/sleep infinity"
fi
if is_service_enabled placement; then
    echo_summary "Starting Placement"
    run_process placement-api "/bin/sleep infinity"
fi
if is_service_enabled nova; then
    echo_summary "Starting Nova"
    for service in n-cond n-sch; do
        if is_service_enabled $service; then
            run_process $service "/bin/sleep infinity"
        fi
    done
    if is_service_enabled n-cpu; then
        sed "/^\[database\]/,\$d; s#:5672/#:5672/nova_cell1#" $NOVA_CONF >$NOVA_CPU_CONF
        if [[ "$VIRT_DRIVER" == fake ]]; then
            for i in $(seq 1 $NUMBER_FAKE_NOVA_COMPUTE); do
                state_path=$NOVA_STATE_PATH/$(hostname)$i
                mkdir -p $state_path
                cat /proc/sys/kernel/random/uuid >$state_path/compute_id
                printf '[DEFAULT]\nhost = %s\nstate_path = %s\n' "$(hostname)$i" $state_path \
                    >$ETC/nova/nova-fake.conf-$i
                run_process n-cpu-$i "/bin/sleep infinity"
            done
        else
            mkdir -p $NOVA_STATE_PATH
            cat /proc/sys/kernel/random/uuid >$NOVA_STATE_PATH/compute_id
            run_process n-cpu "/bin/sleep infinity"
        fi
    fi
fi
if is_service_enabled glance; then
    echo_summary "Starting Glance"
    run_process g-api "/bin/sleep infinity"
    if is_service_enabled mysql; then
        echo_summary "Uploading images"
    fi
fi
if is_service_enabled keystone; then
    mkdir -p $TOP_DIR/accrc/admin
    printf 'export OS_USERNAME="admin"\nexport OS_PASSWORD="%s"\nexport OS_AUTH_URL="%s"\n' \
        "$ADMIN_PASSWORD" "$KEYSTONE_SERVICE_URI" >$TOP_DIR/accrc/admin/admin
fi
{
    echo "# $(date "+%F-%H%M%S")"
    for i in BASE_SQL_CONN DATA_DIR DEST ENABLED_SERVICES HOST_IP KEYSTONE_SERVICE_URI LOGFILE \
        OS_CACERT SERVICE_HOST STACK_USER HOST_IPV6; do
        echo $i=${!i}
    done
} >$TOP_DIR/.stackenv
merge_config_group $TOP_DIR/local.conf extra
merge_config_group $TOP_DIR/local.conf post-extra

if is_service_enabled n-cpu; then
    time_start wait_for_service
    if [[ -n "$ALREADY" ]] || wanted service; then
        fail service
    fi
    time_stop wait_for_service
fi
if is_service_enabled n-api && ! is_service_enabled n-cpu; then
    echo_summary "SKIPPING Cell setup because n-cpu is not enabled. You will have to do this manually before you have a working environment."
fi
if [[ -x $TOP_DIR/local.sh ]]; then
    echo "Running user script $TOP_DIR/local.sh"
    $TOP_DIR/local.sh
fi
merge_config_group $TOP_DIR/local.conf test-config

set +o xtrace
if [[ -n "$LOGFILE" ]]; then
    exec 1>&3
    exec 1> >(tee -a "$LOGFILE") 2>&1
else
    exec 1>&3
fi
_TIME_TOTAL[async_wait]=0
time_totals
cat <<SUMMARY

=================
 Async summary
=================
 Time spent in the background minus waits: 0 sec
 Elapsed time: $SECONDS sec
 Time if we did everything serially: $SECONDS sec
 Speedup:  1.0



This is your host IP address: $HOST_IP
SUMMARY
if is_service_enabled keystone; then
    echo "Keystone is serving at $KEYSTONE_SERVICE_URI/"
    echo "The default users are: admin and demo"
    echo "The password: $ADMIN_PASSWORD"
fi
echo
echo "Services are running under systemd unit files."
echo
cat $ETC/devstack-version
echo
echo_summary "stack.sh completed in $SECONDS seconds."
exec 1>&3
exec 2>&3
exec 3>&-
exec 6>&-
