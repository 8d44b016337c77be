"""A run's record as people and machines read it: terminal, HTML, JSON, JUnit, pytest-benchmark."""
