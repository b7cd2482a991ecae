//! One system module of the native chain, or one contract on Ethereum, as one account sees it.

use crate::{
    access::{Native, NoEndpoint},
    client::{Client, ClientError},
    rpc::RpcError,
    units::{Amount, Token},
};
use alloy::{
    primitives::{Address, U256},
    rpc::types::TransactionReceipt,
    signers::local::PrivateKeySigner,
    sol_types::SolCall,
};

/// A module and who calls it.
pub(crate) struct Module {
    address: Address,
    client: Client,
}

impl Module {
    /// The module at `address` of the chain that `native` names. Without a signer it can only be looked at.
    pub(crate) async fn connect<E>(
        address: Address,
        native: &Native,
        signer: Option<PrivateKeySigner>,
    ) -> Result<Self, E>
    where
        E: From<NoEndpoint> + From<ClientError>,
    {
        let (client, _) = Client::native(native.url()?, signer).await?;
        Ok(Self { address, client })
    }

    /// What is at `address`, by somebody's access to its chain.
    pub(crate) const fn at(address: Address, client: Client) -> Self {
        Self { address, client }
    }

    /// Where it is.
    pub(crate) const fn address(&self) -> Address {
        self.address
    }

    /// Who signs.
    pub(crate) fn account(&self) -> Result<Address, ClientError> {
        self.client.account().ok_or(ClientError::NoKey)
    }

    /// The account's connection to the chain.
    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// A view at the newest block.
    pub(crate) async fn view<C: SolCall>(&self, call: &C) -> Result<C::Return, RpcError> {
        self.client.endpoint().view(self.address, call).await
    }

    /// A view of something that may not be there: the module refuses to describe what is not.
    pub(crate) async fn find<C: SolCall>(&self, call: &C) -> Result<Option<C::Return>, RpcError> {
        match self.view(call).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_revert() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One transaction to the module with so much coin, from its estimate to its receipt.
    pub(crate) async fn call<C: SolCall>(
        &self,
        call: &C,
        value: U256,
    ) -> Result<TransactionReceipt, ClientError> {
        if !value.is_zero() {
            let account = self.account()?;
            let balance = self.client.balance(account, Token::Mvc).await?;
            if balance.units() < value {
                return Err(ClientError::Balance {
                    account,
                    chain: self.client.chain(),
                    balance,
                    needed: mvc(value),
                });
            }
        }
        let input = call.abi_encode().into();
        self.client.execute(self.address, value, input).await
    }
}

/// An amount of MVC that a module named.
pub(crate) const fn mvc(units: U256) -> Amount {
    Amount::from_units(Token::Mvc, units)
}
