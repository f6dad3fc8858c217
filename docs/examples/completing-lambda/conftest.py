pytest_plugins = ["usher_simulator.testing.fixture"]
