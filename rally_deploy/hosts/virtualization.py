"""Whether a host can run guests with hardware's help: by trying, since a device alone says little.

On some machines /dev/kvm opens, answers, and then no guest ever runs.
"""

from __future__ import annotations

from rally_deploy.ssh.base import Shell

# A boot sector that writes 0x10 to qemu's exit port: qemu then ends with status 33.
# mov dx,0x501; mov al,0x10; out dx,al; hlt; and the signature at its end.
_TRY = r"""
[ -c /dev/kvm ] || exit 1
qemu=$(command -v qemu-system-x86_64 || command -v kvm) || exit 1
disk=$(mktemp)
trap 'rm -f "$disk"' EXIT
head -c 510 /dev/zero >"$disk"
printf '\125\252' >>"$disk"
printf '\272\001\005\260\020\356\364' | dd of="$disk" conv=notrunc status=none
status=0
timeout -k 1 8 "$qemu" -accel kvm -m 32 -display none -nodefaults -no-reboot \
    -device isa-debug-exit,iobase=0x501,iosize=1 \
    -drive "file=$disk,format=raw,if=ide" >/dev/null 2>&1 || status=$?
[ "$status" = 33 ]
"""


def kvm_works(shell: Shell) -> bool:
    """Run a guest of one instruction under KVM; needs qemu installed."""
    return shell.script(_TRY, timeout_s=30, check=False, quiet=True).ok
