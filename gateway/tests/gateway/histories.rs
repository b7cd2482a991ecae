//! Thousands of random histories: a partner that lies, stalls and answers the same question now so,
//! now so, a chain whose broadcasts go wrong, and a gateway that dies at random between two of its
//! effects, under load. Afterwards the partner's miles, the journal and the chain agree to the
//! unit, and every conversion is at its end or waits for operators in a case of its own.
//!
//! What happens to a conversion follows from the seed and from how often its partner was asked;
//! `HISTORIES_SEED` and `HISTORIES` choose the seed and how many.

use crate::support::chain::Trouble;
use crate::support::gate::Kill;
use crate::support::{Databases, Gateway, PATIENCE, RECEIVER, Settings, World};
use mileverse_adapters::{
    Adapter, AskError, Capabilities, Debit, Inquiry, Known, MemberId, Miles, Reference, Refusal,
    Reversal, Session, Unknown,
};
use mileverse_gateway::config::{AdapterConfig, Batches, Retry};
use mileverse_gateway::conversion::state::State;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::StatusCode;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{self, Instant};

crate::on_both! {
    random_histories_agree_to_the_unit,
}

/// Clients that convert at the same time.
const CLIENTS: u64 = 12;
/// The gateway dies so often, each time at a random effect; every other time again at once.
const DEATHS: u32 = 6;
const RATE: u64 = 12_000_000;

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

/// What the partner really has under a reference.
#[derive(Clone, Debug, Default)]
struct Booking {
    member: String,
    miles: u64,
    applied: bool,
    reversed: bool,
    refused: bool,
    asked: u64,
}

/// A partner whose answers are not to be trusted, and whose books are right.
#[derive(Debug)]
struct Liar {
    seed: u64,
    bookings: Mutex<HashMap<String, Booking>>,
    /// Everything is answered as it is from now on.
    honest: std::sync::atomic::AtomicBool,
    /// Debits under a reference that was reversed before.
    tombstones: AtomicU64,
}

impl Liar {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            bookings: Mutex::default(),
            honest: false.into(),
            tombstones: AtomicU64::new(0),
        }
    }

    /// The dice for this question about this reference.
    fn dice(&self, reference: &str, question: &str) -> StdRng {
        let asked = {
            let mut bookings = self.bookings.lock().unwrap();
            let booking = bookings.entry(reference.to_owned()).or_default();
            booking.asked += 1;
            booking.asked
        };
        let mut hasher = DefaultHasher::new();
        (self.seed, asked, question, reference.len()).hash(&mut hasher);
        // References are random; what follows from them is so too, but the same for each.
        reference.hash(&mut hasher);
        StdRng::seed_from_u64(hasher.finish())
    }

    fn lies(&self) -> bool {
        !self.honest.load(Ordering::SeqCst)
    }

    async fn stall(dice: &mut StdRng) {
        if dice.random_ratio(1, 4) {
            time::sleep(Duration::from_millis(dice.random_range(1..20))).await;
        }
    }

    fn taken(&self) -> u64 {
        let bookings = self.bookings.lock().unwrap();
        bookings
            .values()
            .filter(|booking| booking.applied && !booking.reversed)
            .map(|booking| booking.miles)
            .sum()
    }
}

#[async_trait::async_trait]
impl Adapter for Liar {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            part_conversion: true,
            inquiry: true,
            reversal: true,
            visibility_window: Duration::from_millis(60),
            timeout: Duration::from_millis(100),
        }
    }

    async fn reachable(&self) -> Result<(), AskError> {
        Ok(())
    }

    async fn authenticate(&self, login: &str, _: &SecretString) -> Result<Session, AskError> {
        Ok(Session {
            member: MemberId::new(login).map_err(|_| AskError::MemberRefused)?,
            token: SecretString::from("token"),
        })
    }

    async fn balance(&self, _: &Session) -> Result<Miles, AskError> {
        Ok(Miles::new(1_000_000_000))
    }

    async fn debit(&self, session: &Session, reference: &Reference, miles: Miles) -> Debit {
        let name = reference.as_str();
        let mut dice = self.dice(name, "debit");
        let fate = dice.random_range(0..10);
        // Lost on the way there.
        if fate == 0 {
            Self::stall(&mut dice).await;
            return Debit::Unknown(Unknown("no answer".to_owned()));
        }
        let refused = {
            let mut bookings = self.bookings.lock().unwrap();
            let booking = bookings.entry(name.to_owned()).or_default();
            if booking.reversed {
                self.tombstones.fetch_add(1, Ordering::SeqCst);
                return Debit::Refused(Refusal::Reversed);
            }
            if fate == 1 {
                booking.refused = true;
            } else {
                booking.applied = true;
                booking.member = session.member.to_string();
                booking.miles = miles.get();
            }
            booking.refused
        };
        Self::stall(&mut dice).await;
        match fate {
            // Lost on the way back, or nonsense.
            2..=4 => Debit::Unknown(Unknown("no answer".to_owned())),
            _ if refused => Debit::Refused(Refusal::InsufficientMiles),
            _ => Debit::Applied {
                partner_reference: format!("liar-{name}"),
            },
        }
    }

    async fn inquire(&self, reference: &Reference) -> Inquiry {
        let name = reference.as_str();
        let mut dice = self.dice(name, "inquire");
        Self::stall(&mut dice).await;
        if self.lies() {
            match dice.random_range(0..8) {
                0 | 1 => return Inquiry::Unknown(Unknown("maintenance".to_owned())),
                // False: it is believed only if it is said again and again.
                2 => return Inquiry::NotFound,
                _ => {}
            }
        }
        let booking = self.bookings.lock().unwrap().get(name).cloned();
        let booking = booking.unwrap_or_default();
        if booking.reversed {
            Inquiry::Found(Known::Reversed)
        } else if booking.refused {
            Inquiry::Found(Known::Refused(Refusal::InsufficientMiles))
        } else if booking.applied {
            Inquiry::Found(Known::Applied {
                partner_reference: format!("liar-{name}"),
                member: MemberId::new(booking.member).unwrap(),
                miles: Miles::new(booking.miles),
            })
        } else {
            Inquiry::NotFound
        }
    }

    async fn reverse(&self, reference: &Reference) -> Reversal {
        let name = reference.as_str();
        let mut dice = self.dice(name, "reverse");
        let lies = self.lies();
        if lies && dice.random_ratio(1, 4) {
            return Reversal::Unknown(Unknown("no answer".to_owned()));
        }
        {
            let mut bookings = self.bookings.lock().unwrap();
            bookings.entry(name.to_owned()).or_default().reversed = true;
        }
        Self::stall(&mut dice).await;
        if lies && dice.random_ratio(1, 3) {
            return Reversal::Unknown(Unknown("no answer".to_owned()));
        }
        Reversal::Acknowledged
    }
}

fn settings() -> Settings {
    Settings {
        wait: Duration::from_secs(2),
        retry: Retry {
            first: Duration::from_millis(10),
            longest: Duration::from_millis(60),
            inquiries: 6,
            absent_reads: 3,
            // A reversal is answered in the end; what waits for operators is tried elsewhere.
            reversals: 200,
        },
        // One transaction at a time: whoever comes meanwhile is issued together.
        batches: Batches {
            in_flight: 1,
            ..Batches::default()
        },
        ..Settings::default()
    }
}

struct Load {
    /// How many conversions are to be begun.
    left: AtomicU64,
    /// Where the gateway is now.
    url: Mutex<String>,
}

/// One client: a quote and its conversion, again and again; whoever gets no answer asks again with
/// the same key.
async fn client(world: Arc<World>, load: Arc<Load>, number: u64) -> HashMap<String, String> {
    let mut answers = HashMap::new();
    let member = json!({ "login": format!("member-{number}"), "password": "x" });
    let take = |left: u64| left.checked_sub(1);
    let order = Ordering::SeqCst;
    while load.left.fetch_update(order, order, take).is_ok() {
        let body = json!({ "programme": "airline", "member": member, "miles": "10" });
        let quote = persist(&world, &load, "/v1/quotes", &body).await;
        let quote = quote["id"].as_str().unwrap().to_owned();
        let body = json!({ "quote_id": quote, "member": member, "receiver": RECEIVER });
        let answer = persist(&world, &load, "/v1/conversions", &body).await;
        let id = answer["id"].as_str().or(answer["conversion_id"].as_str());
        let what = answer["state"].as_str().or(answer["type"].as_str());
        answers.insert(id.unwrap().to_owned(), what.unwrap().to_owned());
    }
    answers
}

/// Sends one request until it is answered.
async fn persist(world: &World, load: &Load, path: &str, body: &Value) -> Value {
    let key = uuid::Uuid::now_v7().to_string();
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "{path} is never answered");
        let url = format!("{}{path}", load.url.lock().unwrap());
        let request = world.client.post(url).bearer_auth(crate::support::KEY);
        let request = request.header("idempotency-key", &key).json(body);
        let sent = time::timeout(Duration::from_secs(5), request.send()).await;
        if let Ok(Ok(answer)) = sent {
            let status = answer.status();
            if let Ok(answer) = answer.json::<Value>().await {
                let again = status.is_server_error()
                    || answer["type"] == "urn:mileverse:problem:request-in-progress";
                if !again {
                    let known = [
                        StatusCode::CREATED,
                        StatusCode::ACCEPTED,
                        StatusCode::UNPROCESSABLE_ENTITY,
                    ];
                    assert!(known.contains(&status), "{status} {answer}");
                    return answer;
                }
            }
        }
        time::sleep(Duration::from_millis(20)).await;
    }
}

async fn random_histories_agree_to_the_unit(on: &Databases) {
    let seed = setting("HISTORIES_SEED", rand::rng().random_range(0..1_000_000));
    let many = setting("HISTORIES", 300);
    eprintln!("replay with HISTORIES_SEED={seed} HISTORIES={many}");
    let liar = Arc::new(Liar::new(seed));
    let mut world = World::with(on, settings()).await;
    world.adapter = Some(AdapterConfig::Own(Arc::clone(&liar) as _));
    let world = Arc::new(world);
    let mut dice = StdRng::seed_from_u64(seed);
    let load = Arc::new(Load {
        left: AtomicU64::new(many),
        url: Mutex::default(),
    });
    let mut gateway = world.gateway().await;
    *load.url.lock().unwrap() = gateway.url.clone();
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(client(Arc::clone(&world), Arc::clone(&load), number));
    }
    for death in 0..DEATHS {
        let kill = |dice: &mut StdRng, most: u32| {
            let at = dice.random_range(1..most);
            if dice.random() {
                Kill::Before(at)
            } else {
                Kill::After(at)
            }
        };
        let trouble = [
            Trouble::TakeButRefuse,
            Trouble::TakeButFail,
            Trouble::Lose,
            Trouble::Refuse,
            Trouble::Revert,
        ];
        let wrong = trouble[dice.random_range(0..trouble.len())];
        world.chain.trouble([wrong]);
        world.gate.arm(kill(&mut dice, 300));
        gateway = die(&world, gateway, &load).await;
        // Every other time again at once, while it recovers.
        if death % 2 == 1 {
            world.gate.arm(kill(&mut dice, 30));
            gateway = die(&world, gateway, &load).await;
        }
    }
    let mut answers = HashMap::new();
    while let Some(done) = clients.join_next().await {
        answers.extend(done.unwrap());
    }
    liar.honest.store(true, Ordering::SeqCst);
    settle(&world, &gateway, seed).await;
    check(&world, &gateway, &liar, &answers, seed).await;
    gateway.stop().await;
}

/// Lets the gateway run until its moment has come or there is nothing to do, and starts another.
async fn die(world: &World, gateway: Gateway, load: &Load) -> Gateway {
    let idle = async {
        while load.left.load(Ordering::SeqCst) > 0 {
            time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = world.gate.tripped() => {}
        () = idle => {}
    }
    gateway.kill().await;
    world.gate.disarm();
    let gateway = world.gateway().await;
    *load.url.lock().unwrap() = gateway.url.clone();
    gateway
}

/// Waits until nothing moves any more.
async fn settle(world: &World, gateway: &Gateway, seed: u64) {
    let deadline = Instant::now() + PATIENCE;
    let store = world.store().await;
    loop {
        let counts = store.counts().await.unwrap();
        let moving: u64 = counts
            .iter()
            .filter(|(state, _)| !state.is_settled())
            .map(|(_, many)| many)
            .sum();
        if moving == 0 {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "seed {seed}: {counts:?} at {}",
            gateway.url
        );
        time::sleep(Duration::from_millis(30)).await;
    }
    store.close().await;
}

async fn check(
    world: &World,
    gateway: &Gateway,
    liar: &Liar,
    answers: &HashMap<String, String>,
    seed: u64,
) {
    let books = world.get(gateway, "/v1/books").await;
    assert_eq!(books["agrees"], json!(true), "seed {seed}: {books}");
    let taken = liar.taken();
    assert_eq!(
        books["programmes"][0]["miles_taken"],
        json!(taken.to_string()),
        "seed {seed}: {books}"
    );
    let issued = world.chain.ledger.lock().unwrap().total();
    assert_eq!(
        issued.to_string(),
        (taken * RATE).to_string(),
        "seed {seed}: {books}"
    );
    assert_eq!(
        world.chain.ledger.lock().unwrap().refused_repeats,
        0,
        "seed {seed}: issued twice"
    );
    let store = world.store().await;
    let mut ends = HashMap::new();
    for (id, answer) in answers {
        let row = store.conversion(id).await.unwrap().unwrap();
        *ends.entry(row.state.name()).or_insert(0u32) += 1;
        // What a caller was told stays true.
        match answer.as_str() {
            "completed" => assert_eq!(row.state, State::Completed, "seed {seed}: {id}"),
            told if told.ends_with("conversion-refused") => {
                assert_eq!(row.state, State::Refused, "seed {seed}: {id}");
            }
            told if told.ends_with("conversion-reversed") => {
                assert_eq!(row.state, State::Reversed, "seed {seed}: {id}");
            }
            _ => {}
        }
        if row.state == State::Attention {
            let page = mileverse_gateway::store::cases::Page {
                open: Some(true),
                subject: Some(id),
                limit: 1,
                ..Default::default()
            };
            assert_eq!(
                store.cases(&page).await.unwrap().len(),
                1,
                "seed {seed}: {id}"
            );
        }
    }
    store.close().await;
    eprintln!("{} conversions ended as {ends:?}", answers.len());
    assert!(ends.contains_key("completed"), "seed {seed}: {ends:?}");
}
