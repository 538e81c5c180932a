"""``python -m MODULE`` as a process of its own that need not import everything anew.

Each is forked off a server of processes that has imported what rdeploy needs, which takes most
of the time of a short command. So a test can afford to run hundreds of them.
"""

import importlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
from multiprocessing import connection
from pathlib import Path

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([
    "tests.unit.forked", "rally_deploy.testing.killing", "rally_deploy.testing.fakes",
    "rally_deploy.cli.commands.create", "rally_deploy.cli.commands.destroy",
    "rally_deploy.store.rows", "sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql",
    "rally_deploy.engines.multihost", "requests.adapters", "novaclient.v2.client",
    "glanceclient.v2.client", "openstack.connection", "libcloud.compute.drivers.dummy",
])


#: A start asks all earlier processes whether they have ended: of two threads that ask the same one
#: at the same time, one is told its exit code, the other 255.
_lock = threading.Lock()


def run(module, *arguments, env, timeout, cwd=None):
    """As ``subprocess.run`` with captured text: a negative code says which signal ended it."""
    with tempfile.TemporaryDirectory() as folder:
        process = _context.Process(target=_main, args=(module, arguments, env, cwd, folder))
        with _lock:
            process.start()
        ended = connection.wait([process.sentinel], timeout)
        with _lock:
            if not ended:
                process.kill()
            process.join()
        if not ended:
            raise subprocess.TimeoutExpired([module, *arguments], timeout)
        said = [Path(folder, name).read_text() for name in ("stdout", "stderr")]
        return subprocess.CompletedProcess([module, *arguments], process.exitcode, *said)


def _main(module, arguments, env, cwd, folder):
    for number, name in ((1, "stdout"), (2, "stderr")):
        target = os.open(Path(folder, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(target, number)
        os.close(target)
    os.environ.clear()
    os.environ.update(env)
    sys.path[:0] = filter(None, env.get("PYTHONPATH", "").split(os.pathsep))
    if cwd is not None:
        os.chdir(cwd)
    sys.argv = [module, *arguments]
    importlib.import_module(module).main()
