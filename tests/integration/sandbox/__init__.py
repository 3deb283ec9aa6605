"""The sandbox as a process, talked to by the official SDK, by web3, and by plain HTTP."""
