"""After a create: the proof that the cloud works, and what to type next."""

from __future__ import annotations

import shlex

from rally_deploy.cli.table import clean
from rally_deploy.cli.working import Work, took
from rally_deploy.events import Kind
from rally_deploy.model import DeploymentRecord


def tell_whats_next(work: Work, record: DeploymentRecord) -> None:
    """Print it on stdout. The engine's notes are the proof: it booted a server, say."""
    name = shlex.quote(record.name)
    notes = [event for event in work.notes if event.kind is Kind.NOTE]
    warnings = [event for event in work.notes if event.kind is Kind.WARNING]
    work.say("")
    work.say(f"{record.name} is {record.state}{took(record)}.")
    for event in warnings:
        work.say(f"  warning: {clean(event.title)}")
    for event in notes:
        work.say(f"  {clean(event.title)}")
    overview = work.deployer.show(record.uuid)
    admin = (overview.credentials or {}).get("admin") or {}
    if admin.get("auth_url"):
        work.say(f"  Keystone: {admin['auth_url']}")
    commands = [
        ("rdeploy list", "all deployments"),
        (f"rdeploy show {name}", "its servers, resources, endpoints"),
        (f"rdeploy openrc {name} > openrc", "then '. ./openrc' and 'openstack server list'"),
        (f"rdeploy check {name}", "do all services answer?"),
        (f"rdeploy destroy {name}", "back to nothing"),
    ]
    if overview.servers:
        commands.insert(3, (f"rdeploy ssh {name}", f"to {overview.servers[0].label}"))
    widest = max(len(command) for command, _ in commands)
    work.say("\nWhat to type next:")
    for command, meaning in commands:
        work.say(f"  {command:<{widest}}  # {meaning}")
