//! Messages on a stream: a length, then so many bytes.
//!
//! ```txt
//! binary-2   [length: u16 big-endian][message]
//! ascii-4    [length: 4 ASCII digits][message]
//! ```
//!
//! The length does not count itself. A length of zero is a keep-alive and is skipped. A length
//! above [`MAX_MESSAGE_BYTES`] ends the connection, since nothing after it can be trusted.

use crate::codec::MAX_MESSAGE_BYTES;
use serde::Deserialize;
use std::io;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// How a length is written.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub enum Header {
    /// Two bytes, big-endian.
    #[serde(rename = "binary-2")]
    Binary2,
    /// Four ASCII digits.
    #[serde(rename = "ascii-4")]
    Ascii4,
}

/// Why there is no next message.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The other side ended the stream between two messages.
    #[error("the connection was closed")]
    Closed,
    /// A length that is none, or too large.
    #[error("the length header is not one or is above {MAX_MESSAGE_BYTES}")]
    Length,
    /// The stream.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
}

/// Reads the next message.
pub async fn read<R: AsyncRead + Unpin + Send>(
    stream: &mut R,
    header: Header,
) -> Result<Vec<u8>, FrameError> {
    loop {
        let length = match header {
            Header::Binary2 => {
                let mut bytes = [0u8; 2];
                first(stream, &mut bytes).await?;
                usize::from(u16::from_be_bytes(bytes))
            }
            Header::Ascii4 => {
                let mut bytes = [0u8; 4];
                first(stream, &mut bytes).await?;
                if !bytes.iter().all(u8::is_ascii_digit) {
                    return Err(FrameError::Length);
                }
                bytes.iter().fold(0usize, |length, digit| {
                    length
                        .saturating_mul(10)
                        .saturating_add(usize::from(digit & 0x0f))
                })
            }
        };
        if length > MAX_MESSAGE_BYTES {
            return Err(FrameError::Length);
        }
        if length > 0 {
            let mut message = vec![0; length];
            stream.read_exact(&mut message).await?;
            return Ok(message);
        }
    }
}

/// Reads a header; an end before its first byte is a close, not a break.
async fn first<R: AsyncRead + Unpin + Send>(
    stream: &mut R,
    bytes: &mut [u8],
) -> Result<(), FrameError> {
    let (begin, rest) = bytes.split_at_mut(1);
    if stream.read(begin).await? == 0 {
        return Err(FrameError::Closed);
    }
    stream.read_exact(rest).await?;
    Ok(())
}

/// A message with its length before it.
pub fn wrap(message: &[u8], header: Header) -> Result<Vec<u8>, FrameError> {
    if message.is_empty() || message.len() > MAX_MESSAGE_BYTES {
        return Err(FrameError::Length);
    }
    let length = u16::try_from(message.len()).map_err(|_| FrameError::Length)?;
    let mut out = match header {
        Header::Binary2 => length.to_be_bytes().to_vec(),
        Header::Ascii4 => format!("{length:04}").into_bytes(),
    };
    out.extend_from_slice(message);
    Ok(out)
}

/// Writes a message.
pub async fn write<W: AsyncWrite + Unpin + Send>(
    stream: &mut W,
    message: &[u8],
    header: Header,
) -> Result<(), FrameError> {
    stream.write_all(&wrap(message, header)?).await?;
    stream.flush().await?;
    Ok(())
}
