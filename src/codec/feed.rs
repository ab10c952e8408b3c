//! The network at work: it is given tokens and gives distributions, on a thread of its own where lanes leave it time.

use crate::error::{Error, ErrorKind};
use crate::transformer::{Session, Step};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Scope;

/// Tokens for one lane.
pub struct Order {
    pub lane: usize,
    /// The lane begins anew, or its last token isn't there after all.
    pub restart: bool,
    pub retract: bool,
    pub tokens: Vec<u32>,
}

/// What follows an order's last token, as running totals in the vocabulary's order.
pub struct Answer {
    pub lane: usize,
    pub totals: Vec<u32>,
}

/// Takes orders and gives their answers in the same order.
pub enum Feed {
    Here { session: Box<Session>, answers: std::collections::VecDeque<Vec<Answer>> },
    Beside { orders: Sender<Vec<Order>>, answers: Receiver<Vec<Answer>> },
}

impl Feed {
    /// Works when asked.
    pub fn here(session: Session) -> Feed {
        Feed::Here { session: Box::new(session), answers: Default::default() }
    }

    /// Works on a thread of its own.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if the system gives none.
    pub fn beside<'scope>(mut session: Session, scope: &'scope Scope<'scope, '_>) -> Result<Feed, Error> {
        let (orders, taken) = channel::<Vec<Order>>();
        let (given, answers) = channel();
        std::thread::Builder::new()
            .name("network".into())
            .spawn_scoped(scope, move || {
                for orders in taken {
                    if given.send(serve(&mut session, &orders)).is_err() {
                        return;
                    }
                }
            })
            .map_err(|error| Error::new(ErrorKind::Io, format!("no thread for the network: {error}")))?;
        Ok(Feed::Beside { orders, answers })
    }

    /// Places orders, one for a lane at most.
    pub fn order(&mut self, orders: Vec<Order>) {
        match self {
            Feed::Here { session, answers } => answers.push_back(serve(session, &orders)),
            // Where the thread is gone its panic is what counts; it comes up when the scope ends.
            Feed::Beside { orders: sender, .. } => drop(sender.send(orders)),
        }
    }

    /// The answers to the oldest orders that weren't answered yet.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if there are none.
    pub fn answers(&mut self) -> Result<Vec<Answer>, Error> {
        let answers = match self {
            Feed::Here { answers, .. } => answers.pop_front(),
            Feed::Beside { answers, .. } => answers.recv().ok(),
        };
        answers.ok_or_else(|| Error::new(ErrorKind::Internal, "the network doesn't answer"))
    }
}

fn serve(session: &mut Session, orders: &[Order]) -> Vec<Answer> {
    for order in orders {
        if order.restart {
            session.reset(order.lane);
        } else if order.retract {
            session.retract(order.lane);
        }
    }
    let mut answers: Vec<Answer> = orders.iter().map(|order| Answer { lane: order.lane, totals: Vec::new() }).collect();
    let last = |order: &Order| order.tokens.len().saturating_sub(1);
    let steps: Vec<Step> =
        orders.iter().map(|order| Step { lane: order.lane, tokens: &order.tokens, from: last(order) }).collect();
    session.advance(&steps, |step, _, totals| answers[step].totals.extend_from_slice(totals));
    answers
}
