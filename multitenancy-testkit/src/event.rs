use multitenancy_core::event::{Aggregate, Event};
use serde::Serialize;

/// An event that means nothing: the `number`th of the aggregate `test` named `of`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestEvent {
    /// Which aggregate.
    pub of: String,
    /// Which of its events.
    pub number: u64,
}

impl TestEvent {
    /// The `number`th event of `of`.
    pub fn new(of: impl Into<String>, number: u64) -> Self {
        Self { of: of.into(), number }
    }
}

impl Event for TestEvent {
    const TYPE: &'static str = "test.happened";
    const VERSION: u32 = 1;

    fn aggregate(&self) -> Aggregate {
        Aggregate::new("test", &self.of)
    }
}
