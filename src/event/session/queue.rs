//! Queue: requests wait for a worker.

use super::payload::{Text, payload};

payload! {
    /// A request waits.
    RequestEnqueued<'a> {
        /// The request.
        request_id: Text<'a>,
        /// The plan that it is for.
        plan_id: Text<'a>,
        /// The node that it is for.
        node_id: Text<'a>,
        /// The node's path.
        path: Text<'a>,
    }
}

payload! {
    /// A request is the same as one that waits or runs already, and gets its answer.
    RequestDeduplicated<'a> {
        /// The request that is not made.
        request_id: Text<'a>,
        /// The node that it is for.
        node_id: Text<'a>,
        /// The request whose answer it gets.
        original_request_id: Text<'a>,
    }
}

payload! {
    /// A worker has taken a request.
    RequestProcessing<'a> {
        /// The request.
        request_id: Text<'a>,
        /// The node that it is for.
        node_id: Text<'a>,
        /// How long it waited, in milliseconds.
        wait_ms: u64,
    }
}

payload! {
    /// How the queue stands.
    QueueStats {
        /// Requests that wait.
        pending: u64,
        /// Requests that a worker has.
        processing: u64,
        /// Requests that were answered so far.
        completed: u64,
        /// Requests that failed so far.
        failed: u64,
    }
}
