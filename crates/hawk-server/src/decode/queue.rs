//! The waiting images: bounded, and fair between clients and between the requests of a client.

use std::collections::VecDeque;
use std::ops::Range;

/// Waiting images of requests of type `T`.
///
/// Clients take turns, one image at a time. So do the requests of one client: a request for ten images
/// does not keep a later one waiting for all of them.
pub(crate) struct FairQueue<T> {
    clients: VecDeque<Client<T>>,
    waiting: usize,
    bound: usize,
}

struct Client<T> {
    name: String,
    requests: VecDeque<(T, Range<u32>)>,
}

impl<T: Clone> FairQueue<T> {
    /// A queue of at most `bound` images.
    pub(crate) fn new(bound: usize) -> Self {
        Self { clients: VecDeque::new(), waiting: 0, bound }
    }

    /// Number of waiting images.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Adds the images of a request. False where there is no room for all of them.
    pub(crate) fn push(&mut self, client: &str, request: T, images: Range<u32>) -> bool {
        if self.waiting + images.len() > self.bound {
            return false;
        }
        self.waiting += images.len();
        let entry = (request, images);
        match self.clients.iter_mut().find(|known| known.name == client) {
            Some(known) => known.requests.push_back(entry),
            None => self.clients.push_back(Client { name: client.to_owned(), requests: VecDeque::from([entry]) }),
        }
        true
    }

    /// Takes the image whose turn it is.
    pub(crate) fn pop(&mut self) -> Option<(T, u32)> {
        let mut client = self.clients.pop_front()?;
        let (request, mut images) = client.requests.pop_front()?;
        let image = images.next()?;
        self.waiting -= 1;
        let taken = (request.clone(), image);
        if !images.is_empty() {
            client.requests.push_back((request, images));
        }
        if !client.requests.is_empty() {
            self.clients.push_back(client);
        }
        Some(taken)
    }

    /// Gives back an image that was taken. It is the next one again.
    pub(crate) fn put_back(&mut self, client: String, request: T, image: u32) {
        self.waiting += 1;
        let known = self.clients.iter().position(|known| known.name == client).and_then(|at| self.clients.remove(at));
        let mut client = known.unwrap_or(Client { name: client, requests: VecDeque::new() });
        client.requests.push_front((request, image..image + 1));
        self.clients.push_front(client);
    }

    /// Removes the requests that fail a test, and calls `removed` with each.
    pub(crate) fn retain(&mut self, keep: impl Fn(&T) -> bool, mut removed: impl FnMut(T)) {
        for client in &mut self.clients {
            let requests = std::mem::take(&mut client.requests);
            for (request, images) in requests {
                if keep(&request) {
                    client.requests.push_back((request, images));
                } else {
                    self.waiting -= images.len();
                    removed(request);
                }
            }
        }
        self.clients.retain(|client| !client.requests.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(queue: &mut FairQueue<&'static str>) -> Vec<(&'static str, u32)> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn clients_and_their_requests_take_turns() {
        let mut queue = FairQueue::new(9);
        assert!(queue.push("a", "a1", 0..3) && queue.push("a", "a2", 0..2) && queue.push("b", "b1", 4..6));
        assert_eq!(queue.waiting(), 7);
        let want = [("a1", 0), ("b1", 4), ("a2", 0), ("b1", 5), ("a1", 1), ("a2", 1), ("a1", 2)];
        assert_eq!(order(&mut queue), want);
        assert_eq!((queue.waiting(), queue.pop()), (0, None));
    }

    #[test]
    fn what_is_put_back_is_next_again() {
        for images in [1, 2] {
            let mut queue = FairQueue::new(9);
            assert!(queue.push("a", "a1", 0..images) && queue.push("b", "b1", 0..1));
            let before = queue.waiting();
            let (request, image) = queue.pop().unwrap();
            queue.put_back("a".to_owned(), request, image);
            assert_eq!(queue.waiting(), before);
            let mut all = order(&mut queue);
            assert_eq!((all[0], all.len(), queue.waiting()), (("a1", 0), before, 0));
            all.sort_unstable();
            assert_eq!(all[all.len() - 1], ("b1", 0));
        }
    }

    #[test]
    fn a_full_queue_takes_a_request_whole_or_not() {
        let mut queue = FairQueue::new(3);
        assert!(queue.push("a", "a1", 0..2) && !queue.push("b", "b1", 0..2) && queue.push("b", "b2", 0..1));
        assert_eq!(queue.waiting(), 3);
        assert_eq!(order(&mut queue), [("a1", 0), ("b2", 0), ("a1", 1)]);
    }

    #[test]
    fn removed_requests_leave_room() {
        let mut queue = FairQueue::new(4);
        assert!(queue.push("a", "a1", 0..2) && queue.push("a", "a2", 0..1) && queue.push("b", "b1", 0..1));
        let mut removed = Vec::new();
        queue.retain(|&request| request == "a2", |request| removed.push(request));
        assert_eq!((removed, queue.waiting()), (vec!["a1", "b1"], 1));
        assert_eq!(order(&mut queue), [("a2", 0)]);
    }
}
