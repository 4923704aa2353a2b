//! A service with messages of several kinds.

use rpc::Bytes;
use serde::{Deserialize, Serialize};

/// One order.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Order {
    pub number: u64,
    pub customer: String,
    pub article: u32,
    pub pieces: u16,
    pub cents: u64,
    pub weight: f64,
    pub paid: bool,
    pub rebate: Option<u32>,
}

impl Order {
    /// Any one.
    pub fn example(number: u64) -> Order {
        Order {
            number,
            customer: format!("customer {number}"),
            article: number as u32 * 3,
            pieces: 2,
            cents: number * 100 + 1,
            weight: 1.5,
            paid: number.is_multiple_of(2),
            rebate: number.is_multiple_of(3).then_some(5),
        }
    }

    /// Takes every field, so that no compiler leaves one out.
    fn digest(&self) -> u64 {
        let numbers = self.number + u64::from(self.article) + u64::from(self.pieces) + self.cents + self.weight as u64;
        let rest = self.customer.len() as u64 + u64::from(self.paid) + u64::from(self.rebate.unwrap_or_default());
        numbers + rest
    }
}

/// What is called.
#[rpc::service(version = 1)]
pub trait Shop {
    fn number(&self, number: u64) -> u64;
    fn order(&self, shop: u64, order: Order) -> u64;
    fn orders(&self, orders: Vec<Order>) -> u64;
    fn page(&self, number: u64, page: Bytes) -> Bytes;
}

/// Does next to nothing with what it gets. Each `COPY` does something else, so that no compiler makes one of several.
#[derive(Clone, Copy, Debug)]
pub struct Counter<const COPY: u64>;

impl<const COPY: u64> Shop for Counter<COPY> {
    fn number(&self, number: u64) -> u64 {
        number + COPY
    }

    fn order(&self, shop: u64, order: Order) -> u64 {
        shop + order.digest() + COPY
    }

    fn orders(&self, orders: Vec<Order>) -> u64 {
        orders.iter().map(Order::digest).sum::<u64>() + COPY
    }

    fn page(&self, number: u64, page: Bytes) -> Bytes {
        if number == COPY { Bytes::default() } else { page }
    }
}
