//! Keyset pages: a list is read from a key onwards, so that a long list costs the same at its end as at its
//! start and rows inserted meanwhile neither repeat nor hide others.

/// Which part of a list to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest<K> {
    after: Option<K>,
    size: u32,
}

impl<K> PageRequest<K> {
    /// The default number of items on a page.
    pub const DEFAULT_SIZE: u32 = 10;
    /// The largest number of items on a page; a larger request is cut to it.
    pub const MAX_SIZE: u32 = 100;

    /// The first page.
    pub fn first(size: u32) -> Self {
        Self { after: None, size: size.clamp(1, Self::MAX_SIZE) }
    }

    /// The page that follows `key`.
    #[must_use]
    pub fn after(self, key: K) -> Self {
        Self { after: Some(key), ..self }
    }

    /// The key after which the page begins; `None` begins at the start.
    pub fn key(&self) -> Option<&K> {
        self.after.as_ref()
    }

    /// The largest number of items wanted, between 1 and [`MAX_SIZE`](Self::MAX_SIZE).
    pub fn size(&self) -> u32 {
        self.size
    }
}

impl<K> Default for PageRequest<K> {
    fn default() -> Self {
        Self::first(Self::DEFAULT_SIZE)
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, K> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// The key to continue after; `None` at the end of the list.
    pub next: Option<K>,
}

impl<T, K> Page<T, K> {
    /// The page for `request` out of `items`, which an adapter reads with one item more than
    /// [`PageRequest::size`] to learn whether the list goes on.
    pub fn from_overfull(mut items: Vec<T>, request: &PageRequest<K>, key: impl Fn(&T) -> K) -> Self {
        let size = request.size() as usize;
        let more = items.len() > size;
        items.truncate(size);
        let next = if more { items.last().map(key) } else { None };
        Self { items, next }
    }
}
