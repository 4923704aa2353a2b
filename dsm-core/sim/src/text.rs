//! Words for people who read a trace.

use protocol::Message;
use protocol::message::{Access, Contents, Handover, LockMessage, PageMessage};
use protocol::sequential::Effect;

pub(crate) fn access(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "write",
    }
}

pub(crate) fn message(message: &Message) -> String {
    match message {
        Message::Page(message) => page(message),
        Message::Lock(LockMessage::Acquire { lock, request }) => {
            format!("I want lock {:#x} (request {})", lock.0, request.0)
        }
        Message::Lock(LockMessage::Pass { lock, tenure, to, request }) => {
            format!("after your request {} lock {:#x} goes to {to} for request {}", tenure.0, lock.0, request.0)
        }
        Message::Lock(LockMessage::Token { lock, request }) => {
            format!("lock {:#x} is yours for request {}", lock.0, request.0)
        }
        Message::Barrier(barrier) => format!("I am in round {} of barrier {}", barrier.round, barrier.generation),
        Message::Atomic(atomic) => format!("{atomic:?}"),
        Message::Obituary(node) => format!("I lost {node}"),
    }
}

fn page(message: &PageMessage) -> String {
    let number = message.page().0;
    match *message {
        PageMessage::Request { request, access: wanted, .. } => {
            format!("page {number}: I need it to {} (request {})", access(wanted), request.0)
        }
        PageMessage::Forward { epoch, requester, request, handover, awaiting, .. } => {
            let handover = match handover {
                Handover::Share => "to read",
                Handover::Migrate => "to write if you have written it, else to read",
                Handover::Take => "to write",
            };
            format!(
                "page {number}: hand it to {requester} {handover} (request {}, epoch {}, awaiting {awaiting:?})",
                request.0, epoch.0
            )
        }
        PageMessage::Grant { epoch, request, access: granted, contents, awaiting, .. } => {
            let contents = match contents {
                Contents::Zero => "all zero",
                Contents::Keep => "keep your copy",
                Contents::Bytes => "the bytes follow",
            };
            format!(
                "page {number}: granted to {}, {contents} (request {}, epoch {}, awaiting {awaiting:?})",
                access(granted),
                request.0,
                epoch.0
            )
        }
        PageMessage::Invalidate { epoch, requester, .. } => {
            format!("page {number}: give up your copy and tell {requester} (epoch {})", epoch.0)
        }
        PageMessage::Invalidated { epoch, .. } => format!("page {number}: my copy is gone (epoch {})", epoch.0),
        PageMessage::Done { epoch, access: granted, .. } => {
            format!("page {number}: the grant to {} has taken effect (epoch {})", access(granted), epoch.0)
        }
    }
}

pub(crate) fn effect(effect: &Effect) -> String {
    match *effect {
        Effect::Send { to, message } => format!("sends to {to}: {}", page(&message)),
        Effect::Fill { page } => format!("fills page {}", page.0),
        Effect::Zero { page } => format!("makes page {} zero", page.0),
        Effect::Map { page, access: granted } => format!("maps page {} to {}", page.0, access(granted)),
        Effect::Upgrade { page } => format!("lets page {} be written", page.0),
        Effect::Protect { page } => format!("protects page {}", page.0),
        Effect::Discard { page } => format!("discards page {}", page.0),
        Effect::Hold { page, .. } => format!("holds page {}", page.0),
    }
}
