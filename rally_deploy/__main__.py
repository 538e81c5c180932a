"""``python -m rally_deploy``: the same as ``rdeploy``."""

from rally_deploy.cli import main

if __name__ == "__main__":
    main()
