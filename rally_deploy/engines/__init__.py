"""Engines: each puts an OpenStack distribution onto servers. Siblings never import each other."""
