//! No unit of work opens without saying whose work it is.

use multitenancy_core::Store;

async fn forgetful(store: &dyn Store) {
    let _ = store.begin().await;
    let _ = store.read().await;
    let _ = store.control().await;
}

fn main() {}
