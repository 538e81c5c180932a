"""Base containers: one per distribution and set of packages on each host, made once and kept.

A base is complete when its description lies beside it; a directory of our name without one is what
a killed maker left, and the next one (or a removal) clears it away.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Any

from rally_deploy.errors import CommandFailed, HostError, ResourceConflict
from rally_deploy.hosts.apt_sources import HostSources, read_sources
from rally_deploy.hosts.lxc_base_scripts import BUILD, END_BUILD, LIST_IMAGES, REMOVE_IMAGE
from rally_deploy.ssh import detached
from rally_deploy.ssh.base import Shell

#: Raised when what is put into a base changes, so that an old one is not taken for a new one.
_FORMAT = 1

#: Always in a base: to log in, and what engines need at the least.
BASE_PACKAGES = (
    "openssh-server", "python3", "iproute2", "iputils-ping", "procps", "ca-certificates", "sudo",
)

BUILD_TIMEOUT_S = 3600.0

_LOGS = "look at the whole output with 'rdeploy logs'"

#: Distributions whose template has their own name and takes their own mirror.
_TEMPLATES = ("debian", "ubuntu")


@dataclass(frozen=True)
class BaseImage:
    """What a base container is made of; its name follows from it."""

    distribution: str
    release: str = ""
    arch: str = ""
    packages: Sequence[str] = ()
    template_options: Sequence[str] = ()

    @property
    def name(self) -> str:
        text = json.dumps([_FORMAT, asdict(self)], default=list, sort_keys=True)
        return "rd-base-" + hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        return " ".join(part for part in (self.distribution, self.release, self.arch) if part)

    def template_arguments(self) -> list[str]:
        words = []
        if self.release:
            words += ["-r", self.release]
        if self.arch:
            words += ["-a", self.arch]
        return [*words, *self.template_options]


@dataclass(frozen=True)
class ImageOnHost:
    """A base container as ``rdeploy images`` shows it."""

    name: str
    complete: bool
    size_mb: int
    clones: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def resolve_image(
    image: BaseImage, distribution: str, release: str, ubuntu: str = ""
) -> BaseImage:
    """Fill in what the config leaves open with the host's own distribution and release.

    :param ubuntu: the release of Ubuntu where the host is none itself.
    """
    wanted = image.distribution or (distribution if distribution in _TEMPLATES else "debian")
    usual = {"ubuntu": ubuntu, distribution: release}.get(wanted, "")
    return BaseImage(
        wanted, image.release or usual, image.arch,
        tuple(sorted(set(image.packages))), tuple(image.template_options),
    )


def build(shell: Shell, job: str, image: BaseImage) -> None:
    """Make a base if it is not there yet, detached under the job's name; follow it to its end.

    Whoever comes while it is being made waits for it. Raises HostError with what was said last.
    """
    advice = _LOGS
    if image.distribution == "download":
        advice = (
            "the template 'download' needs its image server; where that cannot be reached, set "
            "'distribution' to 'debian' or 'ubuntu', which need a mirror of their packages only"
        )
    run_build(
        shell, job, BUILD, build_arguments(image, read_sources(shell)), BUILD_TIMEOUT_S,
        f"the base container ({image.label}) could not be made", advice)


def run_build(
    shell: Shell, job: str, script: str, arguments: Sequence[str], timeout_s: float, brief: str,
    advice: str = _LOGS,
) -> None:
    """Run a script that makes a base to its end; HostError with this text if it fails."""
    # All arguments stand in its own file: a function is needed for its 'return'.
    script = f'main() {{\n{script}\n}}\nmain "$@"'
    result = detached.run(shell, job, script, *arguments, timeout_s=timeout_s)
    if not result.ok:
        said = (result.stdout + result.stderr).strip().splitlines()
        raise HostError(shell.server, brief, "\n".join(said[-12:]), advice)


def build_arguments(image: BaseImage, sources: HostSources) -> list[str]:
    """The arguments of the script that makes a base."""
    apt = sources.lines_for(image.distribution, image.release)
    facts = {
        **asdict(image), "packages": [*BASE_PACKAGES, *image.packages], "made": today(),
    }
    return [
        image.name, image.distribution, json.dumps(facts, default=list),
        " ".join([*BASE_PACKAGES, *image.packages]), "\n".join(apt), "\n".join(sources.settings),
        sources.mirror(image.distribution), sources.security_mirror(image.distribution),
        *image.template_arguments(),
    ]


def today() -> str:
    """The day that a base is made on: so new are its packages."""
    return datetime.now(timezone.utc).date().isoformat()


def has_image(shell: Shell, name: str) -> bool:
    """Whether the base is there and complete."""
    text = 'test -e "$(lxc-config lxc.lxcpath)/$1/rdeploy-image.json"'
    return shell.script(text, name, check=False, quiet=True).ok


def end_build(shell: Shell, job: str, name: str) -> None:
    """End the making of a base and remove the half; a complete one, or another's, stays."""
    detached.end(shell, job)
    detached.forget(shell, job)
    # It may have to wait for the making of another base.
    shell.script(END_BUILD, name, timeout_s=3600)


def list_images(shell: Shell) -> list[ImageOnHost]:
    """The base containers on a host, half-made ones too."""
    images = []
    for line in shell.script(LIST_IMAGES, quiet=True, timeout_s=300).stdout.splitlines():
        name, size, clones, facts = line.split("\t", 3)
        images.append(ImageOnHost(
            name, bool(facts), int(size), tuple(clones.split()), json.loads(facts or "{}")
        ))
    return images


def remove_image(shell: Shell, name: str) -> None:
    """Remove a base container that has no clones; one with clones is a ResourceConflict."""
    if not name.startswith("rd-base-"):
        raise ResourceConflict(f"{name} is not a base container of rdeploy")
    try:
        shell.script(REMOVE_IMAGE, name, timeout_s=600)
    except CommandFailed as error:
        if error.status == 67:
            raise ResourceConflict(
                f"{shell.server.label}: {name} has clones", error.stderr,
                "destroy the deployments that they belong to first",
            ) from error
        raise
