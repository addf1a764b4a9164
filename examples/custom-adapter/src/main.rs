//! Registers a user in an application with the three adapters, and prints the work of each adapter.
//!
//! `cargo run -p example-custom-adapter [spool directory]`

use std::{error::Error, path::PathBuf, sync::Arc};

use example_custom_adapter::{MeteredStore, SequentialBus, SpoolMailer};
use multitenancy::{
    Context, ControlContext, Plane, Tenancy,
    account::Registration,
    bus::{Delivery, Subscription},
    memory::MemoryStore,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let spool = std::env::args_os().nth(1).map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let store = MeteredStore::new(MemoryStore::default());
    let mailer = SpoolMailer::open(&spool, "hello@example.com".parse()?)?;
    let announce = Subscription::new("announce", "*", |delivery: Arc<Delivery>| async move {
        println!("event:  {}", delivery.event().event_type);
        Ok(())
    })?;
    let tenancy = Tenancy::builder(store.clone())
        .mailer(mailer.clone())
        .bus(SequentialBus::default())
        .subscribe(announce)
        // The program runs the relay itself below, so that it knows when all events are delivered.
        .without_background_work()
        .build()?;

    let platform = Context::Control(ControlContext::system("demonstration"));
    let registration = || -> multitenancy::Result<Registration> {
        Ok(Registration {
            email: "ada@example.org".into(),
            password: "correct horse battery staple".into(),
            full_name: Some("Ada Lovelace".to_owned()),
        })
    };
    let user = tenancy.accounts().register(&platform, registration()?).await?;
    println!("user:   {} {}", user.email, user.id);
    if let Err(refused) = tenancy.accounts().register(&platform, registration()?).await {
        println!("again:  {refused}");
    }

    let drained = tenancy.relay().drain(Plane::Control).await?;
    println!("relay:  {} delivered, {} to retry", drained.delivered, drained.retried);
    for entry in std::fs::read_dir(&spool)? {
        println!("spool:  {}", entry?.path().display());
    }
    println!("store:  {:?}", store.outcomes());
    Ok(())
}
