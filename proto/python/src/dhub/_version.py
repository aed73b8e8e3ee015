# Written by scripts/python-proto.sh, from Cargo.toml.
__version__ = "0.1.0"
