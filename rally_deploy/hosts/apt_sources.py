"""Where a host gets its packages from, so that its containers get theirs from there too.

Asked of apt itself, so that the format of the host's own lists does not matter. Only the
distribution's own suites are taken: a third party's key is not in the container.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rally_deploy.ssh.base import Shell

_COMPONENTS = frozenset(
    {"main", "contrib", "non-free", "non-free-firmware", "restricted", "universe", "multiverse"}
)

_READ = r"""
. /etc/os-release
echo "os $ID ${VERSION_CODENAME:-}"
command -v apt-get >/dev/null || return 0
apt-get indextargets --format 'target $(REPO_URI) $(RELEASE) $(COMPONENT)' \
    'Created-By: Packages' 2>/dev/null || :
apt-config dump 2>/dev/null | grep -E '^Acquire::(https?|Retries|Check)[^ ]* ' \
    | sed 's/^/setting /' || :
"""


@dataclass(frozen=True)
class HostSources:
    """A host's distribution, release, package sources and apt settings."""

    distribution: str = ""
    release: str = ""
    targets: tuple[tuple[str, str, str], ...] = ()  # (URI, suite, component), official ones
    settings: tuple[str, ...] = field(default=())  # lines of apt.conf: proxies, checks

    def mirror(self, distribution: str) -> str:
        """The mirror to bootstrap a distribution from; empty: the template's own."""
        return self._uri(distribution, self.release)

    def security_mirror(self, distribution: str) -> str:
        return self._uri(distribution, f"{self.release}-security")

    def _uri(self, distribution: str, suite: str) -> str:
        if distribution != self.distribution:
            return ""
        return next((uri.rstrip("/") for uri, name, _ in self.targets if name == suite), "")

    def lines_for(self, distribution: str, release: str) -> list[str]:
        """Lines of a sources.list for a container; empty: keep what the template wrote."""
        if distribution != self.distribution:
            return []
        suites: dict[tuple[str, str], list[str]] = {}
        for uri, suite, component in self.targets:
            name = (release or self.release) + suite[len(self.release):]
            suites.setdefault((uri, name), []).append(component)
        return [
            f"deb {uri} {suite} {' '.join(dict.fromkeys(components))}"
            for (uri, suite), components in suites.items()
        ]


def parse_sources(text: str) -> HostSources:
    """Read what the host answered."""
    distribution = release = ""
    targets: list[tuple[str, str, str]] = []
    settings: list[str] = []
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "os":
            distribution, _, release = rest.partition(" ")
        elif kind == "setting":
            settings.append(rest)
        elif kind == "target":
            uri, suite, component = rest.split(" ")
            suffix = suite[len(release):] if release and suite.startswith(release) else None
            official = suffix in ("", "-updates", "-security", "-backports")
            if official and component in _COMPONENTS:
                targets.append((uri, suite, component))
    return HostSources(distribution, release, tuple(dict.fromkeys(targets)), tuple(settings))


def read_sources(shell: Shell) -> HostSources:
    """Ask a host for its distribution and package sources."""
    return parse_sources(shell.script(_READ, quiet=True).stdout)
