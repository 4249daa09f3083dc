//! Provider: calls of a model over the network.

use super::payload::{Text, payload};

payload! {
    /// A call was sent.
    ProviderRequestSent<'a> {
        /// The request.
        request_id: Text<'a>,
        /// The node that it is for.
        node_id: Text<'a>,
        /// Which try it is, from 1.
        attempt: u64,
        /// The provider; becomes `gen_ai.provider.name`.
        provider: Text<'a>,
        /// The model that was asked; becomes `gen_ai.request.model`.
        model: Text<'a>,
        /// What was asked of it, such as `chat`; becomes `gen_ai.operation.name`.
        operation: Text<'a>,
    }
}

payload! {
    /// A call was answered.
    ProviderResponseReceived<'a> {
        /// The request.
        request_id: Text<'a>,
        /// The node that it is for.
        node_id: Text<'a>,
        /// Which try it was, from 1.
        attempt: u64,
        /// The provider.
        provider: Text<'a>,
        /// The model.
        model: Text<'a>,
        /// What was asked of it, such as `chat`.
        operation: Text<'a>,
        /// Tokens sent; becomes `gen_ai.usage.input_tokens`.
        input_tokens: u64,
        /// Tokens received; becomes `gen_ai.usage.output_tokens`.
        output_tokens: u64,
        /// How long the call took, in milliseconds.
        duration_ms: u64,
        /// Why the model stopped, such as `stop` or `length`; becomes `gen_ai.response.finish_reasons`.
        finish_reason: Text<'a>,
    }
}

payload! {
    /// A call failed.
    ProviderRequestFailed<'a> {
        /// The request.
        request_id: Text<'a>,
        /// The node that it is for.
        node_id: Text<'a>,
        /// Which try it was, from 1.
        attempt: u64,
        /// The provider.
        provider: Text<'a>,
        /// The model.
        model: Text<'a>,
        /// What was asked of it, such as `chat`.
        operation: Text<'a>,
        /// What went wrong, in words.
        error: Text<'a>,
        /// The class of the error, one of few, such as `timeout` or `429`; read under `error_type` too.
        #[serde(rename = "error.type", alias = "error_type")]
        error_type: Text<'a>,
        /// How long the call took, in milliseconds.
        duration_ms: u64,
    }
}

payload! {
    /// A call that failed will be made again.
    ProviderRequestRetrying<'a> {
        /// The request.
        request_id: Text<'a>,
        /// The node that it is for.
        node_id: Text<'a>,
        /// Which try comes next, from 2.
        attempt: u64,
        /// The provider.
        provider: Text<'a>,
        /// The model.
        model: Text<'a>,
        /// What is asked of it, such as `chat`.
        operation: Text<'a>,
        /// How long is waited before it, in seconds.
        retry_after: f64,
        /// The class of the error that it is made again for; read under `error_type` too.
        #[serde(rename = "error.type", alias = "error_type")]
        error_type: Text<'a>,
    }
}
