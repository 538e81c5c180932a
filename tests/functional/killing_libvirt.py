"""``rdeploy`` that kills itself also at its calls of libvirt.

As ``rally_deploy.testing.killing``, whose variables it takes.
"""

from rally_deploy.testing import killing

#: Nothing to the outside: the event loop, keepalive, what is freed or known already.
_INSIDE = ("virEvent", "virRegister", "virConnectClose", "virConnectSetKeepAlive",
           "virConnectIsAlive", "virConnectGetURI")


class KillingCalls:
    """Takes the place of libvirt's C module."""

    def __init__(self, module):
        self._module = module

    def __getattr__(self, name):
        found = getattr(self._module, name)
        if not name.startswith("vir") or name.startswith(_INSIDE) \
                or name.endswith(("Free", "GetName")) or not callable(found):
            return found

        def call(*arguments):
            with killing.outside_call():
                return found(*arguments)
        return call


def main():
    import libvirt

    libvirt.libvirtmod = KillingCalls(libvirt.libvirtmod)
    killing.main()


if __name__ == "__main__":
    main()
