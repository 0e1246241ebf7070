"""The runtime: carries the engine's effects out, with asyncio."""
