"""What several plugins need done on a host: LXC, networks, tunnels, packages, the proof of a cloud."""
