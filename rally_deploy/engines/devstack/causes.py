"""The common reasons for which stack.sh fails: by which words each is known, and what to do.

The table is in the order of how deep a reason lies: a full disk makes packages fail, which makes
a service not start, and only the first is worth telling.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_AGAIN = "then 'rdeploy resume'"


@dataclass(frozen=True)
class Cause:
    """``{name}`` in the texts is the pattern's group of that name."""

    name: str
    pattern: re.Pattern[str]
    says: str
    remedy: str
    units: tuple[str, ...] = field(default=())  # whose journals tell more


def _cause(name: str, pattern: str, says: str, remedy: str, *units: str) -> Cause:
    return Cause(name, re.compile(pattern), says, remedy, units)


CAUSES = (
    _cause(
        "disk", r"No space left on device|don't have enough free space|Disk quota exceeded",
        "the disk is full",
        "make room, or use a larger disk: DevStack needs some 10 GB, images not counted; "
        + _AGAIN,
    ),
    _cause(
        "memory",
        r"Out of memory: Killed process \d+ \((?P<who>[^)]*)\)|Memory cgroup out of memory"
        r"|oom-kill:|\bMemoryError\b|Cannot allocate memory|virtual memory exhausted"
        r"|line \d+: +\d+ Killed\b|InnoDB: Cannot allocate memory",
        "the memory is not enough: the kernel has ended a process",
        "give it more memory (8 GB for a whole cloud, 4 GB for VIRT_DRIVER=fake without "
        f"horizon and tempest), swap, or fewer services and API_WORKERS=1; {_AGAIN}",
    ),
    _cause(
        "read-only", r"Read-only file system",
        "it could not write: the file system is read-only",
        "in a container: see which path that is; ENABLE_KSM=False and ENABLE_KSMTUNED=False keep "
        f"DevStack off /sys; {_AGAIN}",
    ),
    _cause(
        "unsupported",
        r"this script has not been tested on (?P<distribution>\S+)"
        r"|Support for (?P<other>\S+) is incomplete|Unable to determine DISTRO",
        "this DevStack does not know the distribution {distribution}{other}",
        "use a distribution of its SUPPORTED_DISTROS or another 'devstack_branch'; "
        f'"FORCE": "yes" in local_conf tries it nevertheless; {_AGAIN}',
    ),
    _cause(
        "host-ip", r"Could not determine host (?:ip|IPv6) address",
        "DevStack found no address of the server: it has none, or one inside of FIXED_RANGE or "
        "FLOATING_RANGE",
        f'give "HOST_IP" in local_conf, or another FIXED_RANGE; {_AGAIN}',
    ),
    _cause(
        "passwords", r"ENTER A (?P<what>.*PASSWORD.*|RANDOM SWIFT HASH|KEY FOR SWIFT.*)",
        "a password is missing in local.conf, and nobody is there to be asked",
        f"give it in local_conf; {_AGAIN}",
    ),
    _cause(
        "sudo", r"sudo: a (?:terminal|password) is required|is not in the sudoers file",
        "its account may not become root",
        f"see /etc/sudoers.d on the server; {_AGAIN}",
    ),
    _cause(
        "names",
        r"(?:Could not resolve host(?:name)?:|Temporary failure resolving|unable to resolve host "
        r"address) ['‘]?(?P<host>[^\s'’]+)|Temporary failure in name resolution"
        r"|Name or service not known",
        "the server cannot resolve the name {host}",
        f"see its /etc/resolv.conf and /etc/hosts, or give an address; {_AGAIN}",
    ),
    _cause(
        "certificates",
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed"
        r"|server certificate verification failed|SSL certificate problem",
        "a server's certificate is not trusted",
        "put the authority's certificate into /usr/local/share/ca-certificates (pip has its own "
        f"setting, 'cert' in pip.conf) and run update-ca-certificates; {_AGAIN}",
    ),
    _cause(
        "half-clone",
        r"fatal: destination path '(?P<path>[^']*)' already exists and is not an empty directory",
        "{path} is there, but no whole repository: an earlier run was ended in the middle of it",
        f"remove {{path}} on the server, {_AGAIN}",
    ),
    _cause(
        "branch",
        r"Remote branch (?P<branch>\S+) not found|(?P<other>\S+) is neither branch nor tag"
        r"|couldn't find remote ref (?P<ref>\S+)|pathspec '(?P<path>[^']*)' did not match",
        "a repository has no branch {branch}{other}{ref}{path}",
        "see that 'devstack_branch' and the branches in local_conf exist below 'git_base'; "
        f"{_AGAIN}",
    ),
    _cause(
        "git",
        r"git call failed: \[git (?P<call>.*)\]|Maximum of 3 git retries reached|fatal: unable to "
        r"(?:access|connect to|look up) |fatal: (?:the remote end|early EOF|Could not read from)",
        "a git repository could not be had: {call}",
        f"see that the server reaches that address ('git_base', or a repository's own); {_AGAIN}",
    ),
    _cause(
        "pip-conflict",
        r"ResolutionImpossible|Cannot install (?P<what>.*) because these package versions have "
        r"conflicting dependencies",
        "pip found no set of versions that fit together: {what}",
        "the branches of DevStack, requirements and the services must be of one release; a "
        f"plugin may need an older or newer branch; {_AGAIN}",
    ),
    _cause(
        "pip-missing",
        r"(?:No matching distribution found for|Could not find a version that satisfies the "
        r"requirement) (?P<what>\S+)",
        "pip found no usable {what}",
        "see that the package index has it, for this Python; upper-constraints of an old branch "
        f"may name what is gone; {_AGAIN}",
    ),
    _cause(
        "pip-index",
        r"Max retries exceeded with url|ReadTimeoutError|pip\._vendor\.urllib3|NewConnectionError"
        r"|THESE PACKAGES DO NOT MATCH THE HASHES|Could not fetch URL|get-pip\.py failed",
        "pip could not reach its package index",
        f"see pip.conf and the proxy settings of the server; {_AGAIN}",
    ),
    _cause(
        "pip-system", r"externally-managed-environment",
        "pip may not install beside the distribution's packages",
        f'leave "GLOBAL_VENV" as it is, in local_conf; {_AGAIN}',
    ),
    _cause(
        "apt-lock", r"Could not get lock /|Unable to acquire the dpkg frontend lock",
        "another program is installing packages",
        f"wait for it (unattended-upgrades, say), {_AGAIN}",
    ),
    _cause(
        "apt-broken", r"dpkg was interrupted|unmet dependencies|held broken packages",
        "the server's packages are in disorder",
        f"run 'dpkg --configure -a' and 'apt-get -f install' on it, {_AGAIN}",
    ),
    _cause(
        "mirror",
        r"Failed to update apt repos|E: Failed to fetch (?P<url>\S+)|Unable to fetch some archives"
        r"|E: The repository .* (?:does not have|no longer has) a Release file"
        r"|Err:\d+ (?P<mirror>\S+)|Error: Failed to download metadata for repo"
        r"|Unable to locate package (?P<package>\S+)",
        "the package mirror did not give what was asked for: {url}{mirror}{package}",
        f"see the server's package sources, proxy and name resolution; {_AGAIN}",
    ),
    _cause(
        "port",
        r"Address already in use|could not bind to address (?P<address>\S+)"
        r"|port (?P<number>\d+) (?:is )?already (?:in use|allocated)",
        "a port is taken already: {address}{number}",
        "something else runs there: a web server, a database, or an earlier DevStack (run its "
        f"unstack.sh); {_AGAIN}",
        "apache2", "httpd",
    ),
    _cause(
        "locale", r"unsupported locale setting|locale\.Error|Setting locale failed",
        "the language en_US.UTF-8 is not there",
        f"install 'locales' and make it (localedef -i en_US -f UTF-8 en_US.UTF-8), {_AGAIN}",
    ),
    _cause(
        "kernel", r"modprobe: FATAL: Module (?P<module>\S+) not found",
        "the kernel has no module {module}",
        "use another kernel, or, for openvswitch, a cloud without it: VIRT_DRIVER=fake, "
        f"Q_AGENT=openvswitch, Q_ML2_PLUGIN_MECHANISM_DRIVERS=logger; {_AGAIN}",
    ),
    _cause(
        "openvswitch",
        r"ovs-vsctl: .*database connection failed|ovs-vswitchd.*(?:failed|not running)"
        r"|Failed to start .*[Oo]pen ?vSwitch",
        "Open vSwitch does not run",
        "see its journal; a container needs the host's kernel module. Without it: "
        f"Q_AGENT=openvswitch, Q_ML2_PLUGIN_MECHANISM_DRIVERS=logger; {_AGAIN}",
        "ovs-vswitchd", "ovsdb-server", "openvswitch-switch",
    ),
    _cause(
        "database-password", r"Access denied for user '(?P<who>[^']*)'@'(?P<where>[^']*)'",
        "the database refused {who}: another password than the one that it was made with",
        "give the DATABASE_PASSWORD of the first run, or remove the server's database (purge "
        f"mariadb-server and /var/lib/mysql); {_AGAIN}",
        "mariadb", "mysql",
    ),
    _cause(
        "database",
        r"Can't connect to (?:local )?(?:MySQL )?server|Lost connection to (?:MySQL )?server"
        r"|Job for (?:mariadb|mysql)\S* failed|OperationalError.*\(200[236],"
        r"|could not connect to server: Connection refused",
        "the database does not answer",
        f"see its journal: often memory or disk; {_AGAIN}",
        "mariadb", "mysql", "postgresql",
    ),
    _cause(
        "rabbit",
        r"Failed to set rabbitmq password|unable to perform an operation on node '(?P<node>[^']*)'"
        r"|Job for rabbitmq-server\S* failed|AMQP server on (?P<server>\S+) is unreachable"
        r"|ACCESS_REFUSED|MessagingTimeout",
        "the message broker does not answer {node}{server}",
        "see its journal; it hangs on the host name: that must resolve to the server itself, and "
        f"must not change; {_AGAIN}",
        "rabbitmq-server",
    ),
    _cause(
        "compute", r"Didn't find service registered by hostname after (?P<seconds>\d+) seconds",
        "nova-compute did not come up, or did not reach its cloud, within {seconds} s",
        "see its journal. It may be too slow (NOVA_READY_TIMEOUT), lack RABBIT_HOST or "
        "SERVICE_HOST, or still run from before: run unstack.sh; " + _AGAIN,
        "devstack@n-cpu", "devstack@n-cpu-1", "devstack@n-super-cond", "devstack@n-cond-cell1",
    ),
    _cause(
        "service",
        r"\[ERROR\] .*?:\d+ (?P<service>[\w. -]+?) did not start|Job for (?P<job>\S+)\.service "
        r"failed",
        "the service {service}{job} did not start",
        f"see its journal; a slow server needs a longer SERVICE_TIMEOUT; {_AGAIN}",
    ),
    _cause(
        "download", r"ERROR (?P<code>4\d\d|5\d\d): |curl: \(\d+\) (?P<why>.*)",
        "a download failed: {code}{why}",
        "see that the server reaches that address, or place the file by 'files' and name it in "
        f"IMAGE_URLS as file:///...; {_AGAIN}",
    ),
)

#: What "X did not start" calls a service -> the units that it is made of.
UNITS = {
    "nova-api": ("devstack@n-api",),
    "placement-api": ("devstack@placement-api",),
    "Neutron": ("devstack@neutron-api", "devstack@neutron-rpc-server", "devstack@q-svc"),
    "swift proxy": ("devstack@s-proxy",),
}
