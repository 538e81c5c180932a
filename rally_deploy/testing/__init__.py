"""For authors of plugins: fakes that implement the real contracts, and the contract's tests.

``contract.ProviderContract`` and ``contract.EngineContract`` are test classes to inherit from;
``world.World`` is a small outside world in a folder, which survives a killed process;
``killing`` ends a process with SIGKILL at a chosen outside call.
"""
