"""What several plugins need done on a host: LXC, networks, packages, the proof of a cloud."""
