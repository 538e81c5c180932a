"""libvirt's event loop: without it nobody notices that a link is dead."""

from __future__ import annotations

import threading

_lock = threading.Lock()
_running = False


def run() -> None:
    """Have the loop run in a thread of this process; call it before a connection is opened."""
    global _running
    import libvirt

    with _lock:
        if _running:
            return
        # libvirt would write each error to stderr, also those that are expected.
        libvirt.registerErrorHandler(lambda context, error: None, None)
        libvirt.virEventRegisterDefaultImpl()
        threading.Thread(target=_loop, name="libvirt-events", daemon=True).start()
        _running = True


def _loop() -> None:
    import libvirt

    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError:
            # One event that failed is no reason to miss the others.
            continue
