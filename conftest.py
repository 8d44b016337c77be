"""In a checkout `pytest --calico-mode=bgp` runs the suite, and `pytest tests` the plugin's own tests."""

pytest_plugins = ["pytester"]
