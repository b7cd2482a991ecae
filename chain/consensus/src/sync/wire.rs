//! Messages as bytes; drawn in the folder's `mod.rs`.

use super::{MAX_ANSWER_BYTES, Request, Response};
use bytes::{BufMut as _, Bytes, BytesMut};
use commonware_codec::{
    Buf, Decode as _, DecodeExt as _, EncodeSize as _, Error as CodecError, ReadExt as _, Write,
};

/// Bytes before a message's payload.
pub(super) const HEADER: usize = 1 + 8;

const QUESTION: u8 = 0;
const ANSWER: u8 = 1;
const REFUSAL: u8 = 2;

/// A message whose answer is not decoded yet: only the question says what it may hold.
pub(super) enum Message<B> {
    Question { id: u64, request: Request },
    Answer { id: u64, body: B },
    Refusal { id: u64 },
}

impl<B: Buf + commonware_codec::Input> Message<B> {
    pub(super) fn read(mut buffer: B) -> Result<Self, CodecError> {
        let kind = u8::read(&mut buffer)?;
        let id = u64::read(&mut buffer)?;
        match kind {
            QUESTION => Ok(Self::Question {
                id,
                request: Request::decode(buffer)?,
            }),
            ANSWER => Ok(Self::Answer { id, body: buffer }),
            REFUSAL if !buffer.has_remaining() => Ok(Self::Refusal { id }),
            REFUSAL => Err(CodecError::ExtraData(buffer.remaining())),
            other => Err(CodecError::InvalidEnum(other)),
        }
    }
}

/// An answer to `request`; anything else is an error.
pub(super) fn response(
    request: &Request,
    body: impl commonware_codec::Input,
) -> Result<Response, CodecError> {
    let most = usize::try_from(request.max_ops().get())
        .map_err(|_| CodecError::Invalid("sync answer", "more operations than fit"))?;
    let response = Response::decode_cfg(body, &(most, ((), ())))?;
    match (request, &response) {
        (Request::Operations { .. }, Response::Operations { .. })
        | (Request::Boundary { .. }, Response::Boundary { .. }) => Ok(response),
        _ => Err(CodecError::Invalid("sync answer", "to another question")),
    }
}

fn message(kind: u8, id: u64, payload: Option<&impl Payload>) -> Bytes {
    let length = payload.map_or(0, |payload| payload.encode_size());
    let mut buffer = BytesMut::with_capacity(HEADER.saturating_add(length));
    buffer.put_u8(kind);
    buffer.put_u64(id);
    if let Some(payload) = payload {
        payload.write(&mut buffer);
    }
    buffer.freeze()
}

trait Payload: Write + commonware_codec::EncodeSize {}
impl<T: Write + commonware_codec::EncodeSize> Payload for T {}

/// A question.
pub(super) fn question(id: u64, request: &Request) -> Bytes {
    message(QUESTION, id, Some(request))
}

/// An answer, `None` if it is above [`MAX_ANSWER_BYTES`].
pub(super) fn answer(id: u64, response: &Response) -> Option<Bytes> {
    (response.encode_size() <= MAX_ANSWER_BYTES).then(|| message(ANSWER, id, Some(response)))
}

/// A refusal.
pub(super) fn refusal(id: u64) -> Bytes {
    message(REFUSAL, id, None::<&Request>)
}
