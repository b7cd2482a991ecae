// Counter.sol, compiled by solc 0.8.36: optimizer on, no metadata.
export const counter = {
    abi: [
        {"anonymous": false, "inputs": [{"indexed": false, "internalType": "uint256", "name": "value", "type": "uint256"}], "name": "Counted", "type": "event"},
        {"inputs": [{"internalType": "uint256", "name": "by", "type": "uint256"}], "name": "add", "outputs": [], "stateMutability": "nonpayable", "type": "function"},
        {"inputs": [], "name": "count", "outputs": [{"internalType": "uint256", "name": "", "type": "uint256"}], "stateMutability": "view", "type": "function"},
        {"inputs": [], "name": "fail", "outputs": [], "stateMutability": "pure", "type": "function"},
    ],
    bytecode:
        "0x6080604052348015600e575f5ffd5b506101398061001c5f395ff3fe608060405234801561000f575f5ffd5b506004361061003f575f3560e01c806306661abd146100435780631003e2d21461005d578063a9cc471814610072575b5f5ffd5b61004b5f5481565b60405190815260200160405180910390f35b61007061006b3660046100fd565b61007a565b005b6100706100c7565b805f5f82825461008a9190610114565b90915550505f546040519081527f15df0a6785153dfd625c8af51397704c7ddaff0690e5076243b5e52f4a0d54099060200160405180910390a150565b60405162461bcd60e51b81526020600482015260076024820152666e6f206d6f726560c81b604482015260640160405180910390fd5b5f6020828403121561010d575f5ffd5b5035919050565b8082018082111561013357634e487b7160e01b5f52601160045260245ffd5b9291505056",
};
