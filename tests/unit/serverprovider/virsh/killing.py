"""Every call of libvirt as an outside call that may be the last one.

The test driver lives in its process, so a kill is an exception there that nothing catches, and
every later call of the killed run raises it again.
"""

import threading


class Killed(BaseException):
    """The process ends here."""


#: Calls that are nothing to the outside, or go on in the background; so are those that free and
#: name what we hold already.
_INSIDE = ("virEvent", "virRegister", "virConnectClose", "virConnectSetKeepAlive",
           "virConnectIsAlive", "virConnectGetURI")


class CountingCalls:
    """Takes the place of libvirt's C module; has two points for each call: before and after."""

    def __init__(self, module, kill_at=0):
        self._module, self._kill_at = module, kill_at
        self._lock = threading.Lock()
        self.points = 0

    def _point(self):
        with self._lock:
            self.points += 1
            if self._kill_at and self.points >= self._kill_at:
                raise Killed

    def __getattr__(self, name):
        found = getattr(self._module, name)
        if not name.startswith("vir") or name.startswith(_INSIDE) \
                or name.endswith(("Free", "GetName")) or not callable(found):
            return found

        def call(*arguments):
            self._point()
            result = found(*arguments)
            self._point()
            return result
        return call
