"""The messages of proto/hub.proto; scripts/python-proto.sh writes them."""
