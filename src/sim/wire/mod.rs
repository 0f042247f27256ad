//! The wire: HTTP/1.1 on loopback, with a hand on the socket for resets.

mod answer;
mod course;
mod request;
mod rest;
mod service;

pub(crate) use answer::Answer;

use super::control;
use super::world::World;
use course::End;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpStream;

/// Bytes that a request body may have: the largest call of EC2 or SQS has less.
const MOST_BODY: usize = 4 * 1024 * 1024;

/// Serves one connection until it ends.
pub(super) async fn serve_connection(world: Arc<World>, stream: TcpStream) {
    let reset = AtomicBool::new(false);
    // Boxed, since taking the socket back needs a service whose futures can move.
    let service = service_fn(|request| Box::pin(serve_request(&world, &reset, request)));
    // Small answers at once, rather than after the client's delayed acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = poll_fn(|cx| connection.poll_without_shutdown(cx)).await {
        tracing::trace!(%error, "connection ended");
    }
    let stream = connection.into_parts().io.into_inner();
    if reset.load(Ordering::Relaxed)
        && let Err(error) = stream.set_zero_linger()
    {
        tracing::warn!(%error, "failed to reset a connection");
    }
}

async fn serve_request(
    world: &Arc<World>,
    reset: &AtomicBool,
    request: Request<Incoming>,
) -> Result<Response<Answer>, io::Error> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, MOST_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            let mut response = Response::new(Answer::whole(format!("{error}\n")));
            *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
            return Ok(response);
        }
    };
    if head.uri.path().starts_with(control::PREFIX) {
        return Ok(control::answer(world, &head, &body));
    }
    match course::run(world, &head, &body).await {
        End::Answer(response) => Ok(*response),
        End::Reset => {
            reset.store(true, Ordering::Relaxed);
            Err(io::Error::other("reset by a fault"))
        }
    }
}
