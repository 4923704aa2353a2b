//! The same messages as the stubs', by hand, field by field: what a careful program does that has no generator. Nothing that comes is
//! believed.

use rpc::Bytes;

use super::network;
use super::shop::{Counter, Order, Shop};

/// The least that an order takes; a list cannot hold more of them than that allows.
const ORDER_BYTES_MIN: usize = 40;

/// Which method is called, by the hands' own numbering.
#[derive(Clone, Copy)]
pub enum Method {
    Number,
    Order,
    Orders,
    Page,
}

/// What the other end does: it is another program, so no compiler makes one of the two.
#[inline(never)]
pub fn serve<const COPY: u64>(shop: &Counter<COPY>, method: Method, request: &[u8], reply: &mut Vec<u8>) -> Option<()> {
    match method {
        Method::Number => serve_number(shop, request, reply),
        Method::Order => serve_order(shop, request, reply),
        Method::Orders => serve_orders(shop, request, reply),
        Method::Page => serve_page(shop, request, reply),
    }
}

#[inline(never)]
fn serve_number<const COPY: u64>(shop: &Counter<COPY>, mut rest: &[u8], reply: &mut Vec<u8>) -> Option<()> {
    let number = u64::from_be_bytes(take(&mut rest)?);
    end(rest)?;
    reply.extend_from_slice(&shop.number(number).to_be_bytes());
    Some(())
}

#[inline(never)]
fn serve_order<const COPY: u64>(shop: &Counter<COPY>, mut rest: &[u8], reply: &mut Vec<u8>) -> Option<()> {
    let number = u64::from_be_bytes(take(&mut rest)?);
    let order = take_order(&mut rest)?;
    end(rest)?;
    reply.extend_from_slice(&shop.order(number, order).to_be_bytes());
    Some(())
}

#[inline(never)]
fn serve_orders<const COPY: u64>(shop: &Counter<COPY>, mut rest: &[u8], reply: &mut Vec<u8>) -> Option<()> {
    let orders = take_orders(&mut rest)?;
    end(rest)?;
    reply.extend_from_slice(&shop.orders(orders).to_be_bytes());
    Some(())
}

#[inline(never)]
fn serve_page<const COPY: u64>(shop: &Counter<COPY>, mut rest: &[u8], reply: &mut Vec<u8>) -> Option<()> {
    let number = u64::from_be_bytes(take(&mut rest)?);
    let page = take_bytes(&mut rest)?.to_vec();
    end(rest)?;
    put_bytes(reply, &shop.page(number, Bytes::from(page)));
    Some(())
}

/// A number; a number.
pub fn number<const COPY: u64>(
    shop: &Counter<COPY>,
    method: Method,
    number: u64,
    request: &mut Vec<u8>,
    reply: &mut Vec<u8>,
) -> Option<u64> {
    request.extend_from_slice(&number.to_be_bytes());
    serve(shop, method, network(request), reply)?;
    number_reply(network(reply))
}

/// A number and an order; a number.
pub fn order<const COPY: u64>(
    shop: &Counter<COPY>,
    method: Method,
    number: u64,
    order: &Order,
    request: &mut Vec<u8>,
    reply: &mut Vec<u8>,
) -> Option<u64> {
    request.extend_from_slice(&number.to_be_bytes());
    put_order(request, order);
    serve(shop, method, network(request), reply)?;
    number_reply(network(reply))
}

/// A list of orders; a number.
pub fn orders<const COPY: u64>(
    shop: &Counter<COPY>,
    method: Method,
    orders: &[Order],
    request: &mut Vec<u8>,
    reply: &mut Vec<u8>,
) -> Option<u64> {
    request.extend_from_slice(&(orders.len() as u64).to_be_bytes());
    orders.iter().for_each(|order| put_order(request, order));
    serve(shop, method, network(request), reply)?;
    number_reply(network(reply))
}

/// A number and bytes; bytes.
pub fn page<const COPY: u64>(
    shop: &Counter<COPY>,
    method: Method,
    number: u64,
    page: &Bytes,
    request: &mut Vec<u8>,
    reply: &mut Vec<u8>,
) -> Option<Bytes> {
    request.extend_from_slice(&number.to_be_bytes());
    put_bytes(request, page);
    serve(shop, method, network(request), reply)?;
    let mut rest = network(reply);
    let page = take_bytes(&mut rest)?.to_vec();
    end(rest)?;
    Some(Bytes::from(page))
}

fn number_reply(mut rest: &[u8]) -> Option<u64> {
    let result = u64::from_be_bytes(take(&mut rest)?);
    end(rest)?;
    Some(result)
}

fn take_orders(rest: &mut &[u8]) -> Option<Vec<Order>> {
    let count = usize::try_from(u64::from_be_bytes(take(rest)?)).ok()?;
    let mut taken = Vec::with_capacity(count.min(rest.len() / ORDER_BYTES_MIN));
    for _ in 0..count {
        taken.push(take_order(rest)?);
    }
    Some(taken)
}

pub fn put_order(out: &mut Vec<u8>, order: &Order) {
    out.extend_from_slice(&order.number.to_be_bytes());
    put_bytes(out, order.customer.as_bytes());
    out.extend_from_slice(&order.article.to_be_bytes());
    out.extend_from_slice(&order.pieces.to_be_bytes());
    out.extend_from_slice(&order.cents.to_be_bytes());
    out.extend_from_slice(&order.weight.to_be_bytes());
    out.push(u8::from(order.paid));
    match order.rebate {
        None => out.push(0),
        Some(rebate) => {
            out.push(1);
            out.extend_from_slice(&rebate.to_be_bytes());
        }
    }
}

pub fn take_order(rest: &mut &[u8]) -> Option<Order> {
    Some(Order {
        number: u64::from_be_bytes(take(rest)?),
        customer: std::str::from_utf8(take_bytes(rest)?).ok()?.to_owned(),
        article: u32::from_be_bytes(take(rest)?),
        pieces: u16::from_be_bytes(take(rest)?),
        cents: u64::from_be_bytes(take(rest)?),
        weight: f64::from_be_bytes(take(rest)?),
        paid: flag(rest)?,
        rebate: if flag(rest)? { Some(u32::from_be_bytes(take(rest)?)) } else { None },
    })
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(u64::from_be_bytes(take(rest)?)).ok()?;
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*bytes)
}

fn flag(rest: &mut &[u8]) -> Option<bool> {
    match take(rest)? {
        [0] => Some(false),
        [1] => Some(true),
        _ => None,
    }
}

/// Nothing may be left over.
fn end(rest: &[u8]) -> Option<()> {
    rest.is_empty().then_some(())
}
