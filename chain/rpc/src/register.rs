//! How methods are added: each is a function from the context and its arguments to an answer.

use crate::{arguments::Arguments, context::Context, failure};
use jsonrpsee::{RpcModule, core::RegisterMethodError, types::ErrorObjectOwned};
use serde::Serialize;
use std::{future::Future, sync::Arc};

/// What a method answers.
pub type Answer<T> = Result<T, ErrorObjectOwned>;

/// A method that answers at once from memory.
pub fn quick<T: Serialize + Clone + 'static>(
    module: &mut RpcModule<Context>,
    name: &'static str,
    answer: fn(&Context, Arguments) -> Answer<T>,
) -> Result<(), RegisterMethodError> {
    module.register_method(name, move |params, context, _| {
        answer(context, Arguments::of(&params)?)
    })?;
    Ok(())
}

/// A method that reads from the disk, perhaps for long: not on the threads of consensus, and only so
/// many at one time.
pub fn disk<T: Serialize + Clone + Send + 'static>(
    module: &mut RpcModule<Context>,
    name: &'static str,
    answer: fn(&Context, Arguments) -> Answer<T>,
) -> Result<(), RegisterMethodError> {
    module.register_async_method(name, move |params, context, _| {
        let arguments = Arguments::of(&params);
        async move {
            let arguments = arguments?;
            let turn = context.reads.disk_turn().await?;
            let answer = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                answer(&context, arguments)
            });
            answer.await.map_err(|error| failure::internal(&error))?
        }
    })?;
    Ok(())
}

/// A method that waits for something.
pub fn slow<T, F>(
    module: &mut RpcModule<Context>,
    name: &'static str,
    answer: fn(Arc<Context>, Arguments) -> F,
) -> Result<(), RegisterMethodError>
where
    T: Serialize + Clone + Send + 'static,
    F: Future<Output = Answer<T>> + Send + 'static,
{
    module.register_async_method(name, move |params, context, _| {
        let arguments = Arguments::of(&params);
        async move { answer(context, arguments?).await }
    })?;
    Ok(())
}
