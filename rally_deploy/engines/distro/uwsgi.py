"""uWSGI, which serves the APIs on Debian."""

from __future__ import annotations

from rally_deploy.engines.distro import ini
from rally_deploy.engines.distro.cloud import Cloud
from rally_deploy.hosts.files import File


def uwsgi_file(
    cloud: Cloud, api: str, project: str, *, chunked: bool = False,
    paste: str = "",
) -> list[File]:
    """The ini file of one API; none where this release serves it in another way.

    One thread each: the eventlet-patched APIs hang with more. ``Connection: close``, because
    without it about one request in a hundred is reset.
    """
    wsgi = cloud.release.wsgi.get(api)
    if not wsgi:
        return []
    options = {
        "buffer-size": 65535,
        "master": True,
        "thunder-lock": True,
        "plugins": "python3",
        "lazy-apps": True,
        "paste-logger": True,
        "no-orphans": True,
        "die-on-term": True,
        "enable-threads": True,
        "processes": cloud.workers,
        "threads": 1,
        "listen": 100,
        "rem-header": "Content-Length",
        "add-header": "Connection: close",
        "socket-timeout": 10 if chunked else None,
        "http-auto-chunked": chunked or None,
        "http-chunked-input": chunked or None,
        "http-raw-body": chunked or None,
        "wsgi-manage-chunked-input": chunked or None,
        "paste": f"config:{paste}" if paste else None,
        "logto": f"/var/log/{project}/{api}.log",
        "name": api,
        "uid": project,
        "gid": project,
        "chdir": f"/var/lib/{project}",
        "wsgi-file": wsgi,
    }
    return [File(path(api, project), ini.render({"uwsgi": options}, escape=False))]


def path(api: str, project: str) -> str:
    return f"/etc/{project}/{api}-uwsgi.ini"
