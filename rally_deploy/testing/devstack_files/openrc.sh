# openrc [user] [project]: the settings of a client, as stack.sh left them.

RC_DIR=$(cd $(dirname "${BASH_SOURCE:-$0}") && pwd)
source $RC_DIR/stackrc
if [[ -r $RC_DIR/.stackenv ]]; then
    source $RC_DIR/.stackenv
fi

export OS_USERNAME=${1:-demo}
export OS_PROJECT_NAME=${2:-$OS_USERNAME}
export OS_PASSWORD=$ADMIN_PASSWORD
export OS_AUTH_URL=$KEYSTONE_SERVICE_URI
export OS_REGION_NAME=$REGION_NAME
export OS_USER_DOMAIN_ID=default
export OS_PROJECT_DOMAIN_ID=default
