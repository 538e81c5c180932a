"""Deploy OpenStack clouds from one config file, and take them back without a trace."""

__version__ = "0.1.0"
