//! Wallets that the gateway keeps for members, and points that are moved out of them.

use crate::client::{self, minji, quote};
use crate::support::chain::{Trouble, transfer_fee};
use crate::support::gate::Kill;
use crate::support::{Databases, Gateway, KEY, READER, RECEIVER, STRANGER, Settings, World, until};
use alloy::primitives::{Address, B256, U256};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use futures::{TryStreamExt, future};
use mileverse_gateway::custody::Rules;
use mileverse_gateway::issuer::signer::sign_call;
use mileverse_gateway::secrets::Secrets;
use mileverse_gateway::store::wallets::WalletRow;
use mileverse_gateway::units::MicroPoints;
use mileverse_gateway::vault::Vault;
use mileverse_gateway_client::conversions::{Conversion, ConversionRequest};
use mileverse_gateway_client::members::{LinkRequest, MemberInput};
use mileverse_gateway_client::problem::Kind;
use mileverse_gateway_client::wallets::{
    CUSTODIAL, WithdrawalQuery, WithdrawalRequest, WithdrawalState,
};
use mileverse_gateway_client::webhooks::EventQuery;
use mileverse_gateway_client::{Client, IdempotencyKey, Retry};
use mileverse_primitives::abi::IPoints;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

crate::on_both! {
    points_come_into_a_wallet_and_leave_it,
    a_hundred_at_once_with_one_key_move_once,
    of_many_for_the_last_points_one_wins,
    what_cannot_be_withdrawn_is_refused,
    a_day_has_a_limit,
    whatever_becomes_of_the_broadcast_it_moves_once,
    a_withdrawal_that_never_can_be_is_given_up,
    a_member_with_points_is_not_erased,
    a_wallet_is_made_once_and_its_key_is_sealed,
    killed_at_every_effect_of_a_withdrawal,
}

const POINT: u64 = 1_000_000;
const PATIENCE: Duration = Duration::from_secs(60);
/// More effects than a withdrawal has.
const MOST_EFFECTS: u32 = 40;

async fn world(on: &Databases, rules: Rules) -> World {
    let settings = Settings {
        custody: Some(rules),
        ..Settings::default()
    };
    World::with(on, settings).await
}

/// A client that sends nothing twice by itself.
fn once(gateway: &Gateway) -> Client {
    let client = Client::builder(&gateway.url, KEY.to_owned().into());
    let client = client.retry(Retry::NEVER);
    client.without_proxy().build().unwrap()
}

async fn link(client: &Client) -> String {
    let link = LinkRequest {
        programme: "airline".into(),
        member: minji(),
        consent: "terms-1".into(),
    };
    let linked = client.link(&IdempotencyKey::random(), &link).await.unwrap();
    linked.id
}

/// Converts into the member's wallet.
async fn fill(client: &Client, member: &str, miles: &str) -> Conversion {
    let member = MemberInput::linked(member);
    let quoted = client
        .quote(&IdempotencyKey::random(), &quote(member.clone(), miles))
        .await;
    let request = ConversionRequest {
        quote_id: quoted.unwrap().id,
        member,
        receiver: CUSTODIAL.into(),
        reference: None,
    };
    let made = client.convert(&IdempotencyKey::random(), &request).await;
    client.settled(&made.unwrap().id, PATIENCE).await.unwrap()
}

fn request(points: &str) -> WithdrawalRequest {
    WithdrawalRequest {
        receiver: RECEIVER.into(),
        points: points.into(),
        maximum_fee: None,
    }
}

fn received(world: &World) -> U256 {
    let receiver: Address = RECEIVER.parse().unwrap();
    let ledger = world.chain.ledger.lock().unwrap();
    ledger.balances.get(&receiver).copied().unwrap_or_default()
}

/// What the journal says of an account of the partner's.
async fn account(world: &World, name: &str) -> i64 {
    let store = world.store().await;
    let entries: Vec<(i64,)> =
        sqlx::query_as("SELECT amount FROM journal_entries WHERE account = $1")
            .bind(format!("demo:{name}"))
            .fetch_all(store.read())
            .await
            .unwrap();
    store.close().await;
    entries.into_iter().map(|(amount,)| amount).sum()
}

/// The journal's custody is what the chain has in the wallet, to the unit.
async fn assert_custody(world: &World, gateway: &Gateway, wallet: &str) {
    let address: Address = wallet.parse().unwrap();
    let held = world.chain.ledger.lock().unwrap().balances[&address];
    let kept = -account(world, "points_in_custody").await;
    assert_eq!(held.to_string(), kept.to_string());
    world.assert_books(gateway).await;
}

async fn points_come_into_a_wallet_and_leave_it(on: &Databases) {
    let world = world(on, Rules::default()).await;
    let gateway = world.gateway().await;
    let client = client::client(&gateway, KEY);
    let member = link(&client).await;
    assert_eq!(
        client.wallet(&member).await.unwrap_err().kind(),
        Some(Kind::NotFound)
    );
    let conversion = fill(&client, &member, "100").await;
    assert_eq!(conversion.state, "completed");
    let wallet = client.wallet(&member).await.unwrap();
    assert_eq!(wallet.address, conversion.receiver);
    assert_eq!(wallet.points.0, 1_200 * POINT);
    assert_eq!(wallet.movable.0 + wallet.movable_fee.0, 1_200 * POINT);
    assert_custody(&world, &gateway, &wallet.address).await;

    // What it costs is said before, and is what it costs.
    let terms = client
        .withdrawal_terms(&member, RECEIVER, "1000")
        .await
        .unwrap();
    assert_eq!((terms.fee.0, terms.total.0), (3 * POINT, 1_003 * POINT));
    let asked = WithdrawalRequest {
        maximum_fee: Some(terms.fee),
        ..request("1000")
    };
    let key = IdempotencyKey::random();
    let made = client.withdraw(&key, &member, &asked).await.unwrap();
    assert_eq!(made.state(), Some(WithdrawalState::Completed), "{made:?}");
    assert_eq!((made.points.0, made.fee), (1_000 * POINT, terms.fee));
    assert!(made.block_number.is_some());
    assert_eq!(received(&world), U256::from(1_000 * POINT));
    // Said again: the same.
    assert_eq!(client.withdraw(&key, &member, &asked).await.unwrap(), made);
    assert_eq!(client.withdrawn(&made.id, PATIENCE).await.unwrap(), made);
    assert_custody(&world, &gateway, &wallet.address).await;

    // A little, which costs the chain's least, and then all the rest.
    let key = IdempotencyKey::random();
    let little = client
        .withdraw(&key, &member, &request("0.5"))
        .await
        .unwrap();
    assert_eq!((little.points.0, little.fee.0), (POINT / 2, 3_000));
    let key = IdempotencyKey::random();
    let rest = client
        .withdraw(&key, &member, &request("all"))
        .await
        .unwrap();
    assert_eq!(rest.state, "completed");
    let left = client.wallet(&member).await.unwrap();
    assert!(left.points.0 <= 1, "{left:?}");
    assert_eq!((left.movable.0, left.withdrawal), (0, None));
    assert_custody(&world, &gateway, &wallet.address).await;
    let sent = 1_000 * POINT + POINT / 2 + rest.points.0;
    assert_eq!(received(&world), U256::from(sent));
    assert_eq!(
        account(&world, "points_withdrawn").await,
        -i64::try_from(sent).unwrap()
    );

    let query = WithdrawalQuery {
        member_id: Some(member.clone()),
        state: Some("completed".into()),
        limit: Some(1),
        ..WithdrawalQuery::default()
    };
    let all: Vec<_> = client.withdrawals(query).try_collect().await.unwrap();
    assert_eq!(all, [rest, little, made]);
    let events: Vec<_> = client
        .events(EventQuery::default())
        .try_collect()
        .await
        .unwrap();
    let told: Vec<_> = events
        .iter()
        .filter(|event| event.kind == "withdrawal.completed")
        .collect();
    assert_eq!(told.len(), 3);
    assert_eq!(told[2].body["data"]["id"], all[2].id);
    assert!(!told[2].body.to_string().contains(RECEIVER));
    gateway.stop().await;
}

async fn a_hundred_at_once_with_one_key_move_once(on: &Databases) {
    let world = world(on, Rules::default()).await;
    let gateway = world.gateway().await;
    let client = client::client(&gateway, KEY);
    let member = link(&client).await;
    fill(&client, &member, "100").await;
    let path = format!("/v1/members/{member}/wallet/withdrawals");
    let body = json!({ "receiver": RECEIVER, "points": "1" });
    let answers =
        future::join_all((0..100).map(|_| world.post(&gateway, &path, "w", &body).send())).await;
    let mut ids = Vec::new();
    for answer in answers {
        let answer = answer.unwrap();
        match answer.status() {
            StatusCode::CREATED => {
                let view: Value = answer.json().await.unwrap();
                ids.push(view["id"].as_str().unwrap().to_owned());
            }
            StatusCode::CONFLICT => {
                let problem: Value = answer.json().await.unwrap();
                assert_eq!(problem["type"], "urn:mileverse:problem:request-in-progress");
            }
            other => panic!("{other}"),
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(received(&world), U256::from(POINT));
    let other = world.post(
        &gateway,
        &path,
        "w",
        &json!({ "receiver": RECEIVER, "points": "2" }),
    );
    assert_eq!(
        other.send().await.unwrap().status(),
        StatusCode::UNPROCESSABLE_ENTITY
    );
    gateway.stop().await;
}

async fn of_many_for_the_last_points_one_wins(on: &Databases) {
    let world = world(on, Rules::default()).await;
    let gateway = world.gateway().await;
    let client = client::client(&gateway, KEY);
    let member = link(&client).await;
    fill(&client, &member, "1").await;
    let wallet = client.wallet(&member).await.unwrap();
    let all = request("all");
    let tries = (0..20).map(|_| async {
        let key = IdempotencyKey::random();
        client.withdraw(&key, &member, &all).await
    });
    let (mut won, mut lost) = (0, 0);
    for made in future::join_all(tries).await {
        match made {
            Ok(_) => won += 1,
            Err(error) => {
                let kind = error.kind();
                let expected = [Some(Kind::WithdrawalOpen), Some(Kind::WalletShort)];
                assert!(expected.contains(&kind), "{error}");
                lost += 1;
            }
        }
    }
    assert_eq!((won, lost), (1, 19));
    assert_eq!(received(&world), U256::from(wallet.movable.0));
    assert_custody(&world, &gateway, &wallet.address).await;
    gateway.stop().await;
}

async fn what_cannot_be_withdrawn_is_refused(on: &Databases) {
    let world = world(on, Rules::default()).await;
    let gateway = world.gateway().await;
    let client = client::client(&gateway, KEY);
    let member = link(&client).await;
    fill(&client, &member, "100").await;
    let wallet = client.wallet(&member).await.unwrap().address;
    let refused = async |request: WithdrawalRequest| {
        let made = client
            .withdraw(&IdempotencyKey::random(), &member, &request)
            .await;
        made.unwrap_err().kind().unwrap()
    };
    for (points, kind) in [
        ("0", Kind::WithdrawalAmount),
        ("-1", Kind::WithdrawalAmount),
        ("1.0000001", Kind::WithdrawalAmount),
        ("99999999999999999999", Kind::WithdrawalAmount),
        ("ALL", Kind::WithdrawalAmount),
        ("9223372036854.775807", Kind::WithdrawalAmount),
        ("1200", Kind::WalletShort),
    ] {
        assert_eq!(refused(request(points)).await, kind, "{points}");
    }
    for receiver in [
        "",
        "custodial",
        "0x0000000000000000000000000000000000000000",
        "0x4d56000000000000000000000000000000000001",
        wallet.as_str(),
    ] {
        let asked = WithdrawalRequest {
            receiver: receiver.to_owned(),
            ..request("1")
        };
        assert_eq!(refused(asked).await, Kind::ReceiverInvalid, "{receiver}");
    }
    let dear = WithdrawalRequest {
        maximum_fee: Some(MicroPoints(3 * POINT - 1)),
        ..request("1000")
    };
    assert_eq!(refused(dear).await, Kind::WithdrawalFee);
    let reader = client::client(&gateway, READER);
    let made = reader
        .withdraw(&IdempotencyKey::random(), &member, &request("1"))
        .await;
    assert_eq!(made.unwrap_err().kind(), Some(Kind::Forbidden));
    let stranger = client::client(&gateway, STRANGER);
    let made = stranger
        .withdraw(&IdempotencyKey::random(), &member, &request("1"))
        .await;
    assert_eq!(made.unwrap_err().kind(), Some(Kind::NotFound));
    assert_eq!(
        stranger.wallet(&member).await.unwrap_err().kind(),
        Some(Kind::NotFound)
    );
    assert_eq!(
        stranger.make_wallet(&member).await.unwrap_err().kind(),
        Some(Kind::NotFound)
    );

    // A wallet is named by its member, and only a linked member has one.
    for (member, receiver) in [
        (MemberInput::linked(&member), wallet.as_str()),
        (minji(), CUSTODIAL),
    ] {
        let quoted = client
            .quote(&IdempotencyKey::random(), &quote(member.clone(), "1"))
            .await;
        let conversion = ConversionRequest {
            quote_id: quoted.unwrap().id,
            member,
            receiver: receiver.to_owned(),
            reference: None,
        };
        let made = client.convert(&IdempotencyKey::random(), &conversion).await;
        assert_eq!(
            made.unwrap_err().kind(),
            Some(Kind::ReceiverInvalid),
            "{receiver}"
        );
    }
    assert!(world.chain.ledger.lock().unwrap().transfers.is_empty());
    gateway.stop().await;

    // A gateway that keeps no wallets any more still lets their points go.
    let mut off = world;
    off.settings.custody = None;
    let gateway = off.gateway().await;
    let client = client::client(&gateway, KEY);
    assert_eq!(
        client.make_wallet(&member).await.unwrap_err().kind(),
        Some(Kind::CustodyOff)
    );
    let made = client
        .withdraw(&IdempotencyKey::random(), &member, &request("all"))
        .await;
    assert_eq!(made.unwrap().state, "completed");
    gateway.stop().await;
}

async fn a_day_has_a_limit(on: &Databases) {
    let rules = Rules {
        daily_member: Some(MicroPoints(10 * POINT)),
        daily_partner: Some(MicroPoints(12 * POINT)),
        ..Rules::default()
    };
    let world = world(on, rules).await;
    let gateway = world.gateway().await;
    let client = client::client(&gateway, KEY);
    let member = link(&client).await;
    fill(&client, &member, "100").await;
    let withdraw = async |points: &str| {
        let key = IdempotencyKey::random();
        let made = client.withdraw(&key, &member, &request(points)).await;
        made.map(|made| made.state)
            .map_err(|error| error.kind().unwrap())
    };
    assert_eq!(withdraw("10.000001").await, Err(Kind::DailyLimit));
    // What fails does not count.
    world.chain.trouble([Trouble::Revert]);
    assert_eq!(withdraw("9").await, Err(Kind::WithdrawalFailed));
    assert_eq!(withdraw("9").await, Ok("completed".to_owned()));
    assert_eq!(withdraw("1.1").await, Err(Kind::DailyLimit));
    assert_eq!(withdraw("1").await, Ok("completed".to_owned()));
    assert_eq!(withdraw("0.1").await, Err(Kind::DailyLimit));
    let wallet = client.wallet(&member).await.unwrap().address;
    assert_custody(&world, &gateway, &wallet).await;
    gateway.stop().await;
}

async fn whatever_becomes_of_the_broadcast_it_moves_once(on: &Databases) {
    let world = world(on, Rules::default()).await;
    let gateway = world.gateway().await;
    let client = client::client(&gateway, KEY);
    let member = link(&client).await;
    fill(&client, &member, "100").await;
    let wallet = client.wallet(&member).await.unwrap().address;
    for trouble in [
        vec![Trouble::TakeButRefuse],
        vec![Trouble::TakeButFail],
        vec![Trouble::Refuse, Trouble::Refuse],
        vec![Trouble::Lose, Trouble::TakeButFail],
    ] {
        let before = received(&world);
        world.chain.trouble(trouble.clone());
        let key = IdempotencyKey::random();
        let made = client.withdraw(&key, &member, &request("1")).await.unwrap();
        let made = client.withdrawn(&made.id, PATIENCE).await.unwrap();
        assert_eq!(made.state, "completed", "{trouble:?}");
        assert_eq!(received(&world) - before, U256::from(POINT), "{trouble:?}");
    }
    assert_eq!(world.chain.most_signatures(), 1);
    // The chain refuses it: it failed, the gas is gone and told, and the next one goes.
    world.chain.trouble([Trouble::Revert]);
    let refused = client
        .withdraw(&IdempotencyKey::random(), &member, &request("1"))
        .await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), Some(Kind::WithdrawalFailed), "{refused}");
    let query = WithdrawalQuery {
        state: Some("failed".into()),
        ..WithdrawalQuery::default()
    };
    let failed: Vec<_> = client.withdrawals(query).try_collect().await.unwrap();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].reason.as_ref().unwrap().code, "chain_refused");
    assert_eq!(failed[0].fee.0, 60_000);
    assert_custody(&world, &gateway, &wallet).await;
    let made = client
        .withdraw(&IdempotencyKey::random(), &member, &request("1"))
        .await;
    assert_eq!(made.unwrap().state, "completed");
    assert_custody(&world, &gateway, &wallet).await;
    gateway.stop().await;
}

/// A wallet's key, as only the gateway can open it.
async fn opened(world: &World, member: &str) -> (WalletRow, PrivateKeySigner) {
    let store = world.store().await;
    let wallet = store.wallet("demo", member).await.unwrap().unwrap();
    store.close().await;
    // Without a master key it follows from the first issuer's key.
    let vault = Vault::new(&Secrets::new(&[7; 32]), &[]).unwrap();
    let name = format!("wallet:{member}");
    let key = vault.open(&name, wallet.sealed.as_ref().unwrap()).unwrap();
    (wallet, PrivateKeySigner::from_slice(&key).unwrap())
}

async fn a_withdrawal_that_never_can_be_is_given_up(on: &Databases) {
    let rules = Rules {
        doubt: Duration::from_millis(300),
        ..Rules::default()
    };
    let mut world = world(on, rules).await;
    world.settings.wait = Duration::from_millis(50);
    let gateway = world.gateway().await;
    let client = client::client(&gateway, KEY);
    let member = link(&client).await;
    fill(&client, &member, "100").await;
    let (wallet, key) = opened(&world, &member).await;
    // The node takes it and makes no block; meanwhile another transaction of the wallet comes first.
    world.chain.trouble(vec![Trouble::Lose; 200]);
    let made = client
        .withdraw(&IdempotencyKey::random(), &member, &request("1"))
        .await;
    let made = made.unwrap();
    assert_eq!(made.state, "sending");
    let open = client.wallet(&member).await.unwrap();
    assert_eq!(open.withdrawal.as_ref(), Some(&made.id));
    let second = client
        .withdraw(&IdempotencyKey::random(), &member, &request("1"))
        .await;
    assert_eq!(second.unwrap_err().kind(), Some(Kind::WithdrawalOpen));
    let busy = client.erase(&member).await.unwrap_err();
    assert_eq!(busy.kind(), Some(Kind::WalletNotEmpty), "{busy}");
    let call = IPoints::transferWithMemoCall {
        to: Address::repeat_byte(9),
        amount: U256::from(POINT),
        memo: B256::repeat_byte(9),
    };
    let other = sign_call(
        &key,
        crate::support::chain::CHAIN_ID,
        0,
        100_000,
        call.abi_encode(),
    );
    world.chain.ledger.lock().unwrap().late = Some(other.unwrap().raw.into());
    let failed = client.withdrawn(&made.id, PATIENCE).await.unwrap();
    assert_eq!(failed.state, "failed");
    assert_eq!(failed.reason.unwrap().code, "nonce_taken");
    assert_eq!(received(&world), U256::ZERO);
    world.chain.ledger.lock().unwrap().trouble.clear();
    let made = client
        .withdraw(&IdempotencyKey::random(), &member, &request("1"))
        .await;
    let made = client.withdrawn(&made.unwrap().id, PATIENCE).await.unwrap();
    assert_eq!(
        (made.state.as_str(), made.wallet),
        ("completed", wallet.address)
    );
    assert_eq!(received(&world), U256::from(POINT));
    gateway.stop().await;
}

async fn a_member_with_points_is_not_erased(on: &Databases) {
    let mut world = world(on, Rules::default()).await;
    world.settings.wait = Duration::from_millis(50);
    let gateway = world.gateway().await;
    let client = once(&gateway);
    let member = link(&client).await;
    // Points that are on their way count, too.
    world.chain.ledger.lock().unwrap().frozen = true;
    let asked = quote(MemberInput::linked(&member), "1");
    let quoted = client
        .quote(&IdempotencyKey::random(), &asked)
        .await
        .unwrap();
    let request_of = |quote_id: String| ConversionRequest {
        quote_id,
        member: MemberInput::linked(&member),
        receiver: CUSTODIAL.into(),
        reference: None,
    };
    let begun = client
        .convert(&IdempotencyKey::random(), &request_of(quoted.id))
        .await
        .unwrap();
    let refused = client.erase(&member).await.unwrap_err();
    assert_eq!(refused.kind(), Some(Kind::WalletNotEmpty), "{refused}");
    world.chain.ledger.lock().unwrap().thaw();
    client.settled(&begun.id, PATIENCE).await.unwrap();
    let refused = client.erase(&member).await.unwrap_err();
    assert_eq!(refused.kind(), Some(Kind::WalletNotEmpty), "{refused}");
    assert_eq!(client.member(&member).await.unwrap().status, "linked");

    // While it leaves, conversions come: each is either refused, or keeps it here.
    let made = client
        .withdraw(&IdempotencyKey::random(), &member, &request("all"))
        .await;
    client.withdrawn(&made.unwrap().id, PATIENCE).await.unwrap();
    let mut quotes = Vec::new();
    for _ in 0..8 {
        quotes.push(
            client
                .quote(&IdempotencyKey::random(), &asked)
                .await
                .unwrap()
                .id,
        );
    }
    let conversions = quotes.into_iter().map(|quote| {
        let (client, request) = (client.clone(), request_of(quote));
        async move { client.convert(&IdempotencyKey::random(), &request).await }
    });
    let (erased, converted) =
        future::join(client.erase(&member), future::join_all(conversions)).await;
    for begun in converted.into_iter().flatten() {
        client.settled(&begun.id, PATIENCE).await.unwrap();
    }
    let address: Address = {
        let store = world.store().await;
        let wallet = store.wallet("demo", &member).await.unwrap().unwrap();
        store.close().await;
        assert_eq!(wallet.sealed.is_none(), erased.is_ok(), "{erased:?}");
        wallet.address.parse().unwrap()
    };
    let held = world.chain.ledger.lock().unwrap().balances[&address];
    if erased.is_ok() {
        assert!(held < U256::from(100_000), "points without a key: {held}");
    } else {
        let made = client
            .withdraw(&IdempotencyKey::random(), &member, &request("all"))
            .await;
        client.withdrawn(&made.unwrap().id, PATIENCE).await.unwrap();
        client.erase(&member).await.unwrap();
    }
    assert_eq!(
        client.wallet(&member).await.unwrap_err().kind(),
        Some(Kind::NotFound)
    );
    let gone = client.make_wallet(&member).await.unwrap_err();
    assert_eq!(gone.kind(), Some(Kind::MemberUnknown), "{gone}");
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

async fn a_wallet_is_made_once_and_its_key_is_sealed(on: &Databases) {
    let world = world(on, Rules::default()).await;
    let gateway = world.gateway().await;
    let client = client::client(&gateway, KEY);
    let member = link(&client).await;
    let made = future::join_all((0..20).map(|_| client.make_wallet(&member))).await;
    let first = made[0].as_ref().unwrap().clone();
    for one in made {
        assert_eq!(one.unwrap(), first);
    }
    let (row, key) = opened(&world, &member).await;
    assert_eq!(key.address().to_string(), first.address);
    let secret = key.to_bytes();
    let sealed = row.sealed.clone().unwrap();
    for bytes in [&sealed.data, &sealed.wrapped_key] {
        assert!(!bytes.windows(8).any(|part| part == &secret[..8]));
    }
    // Another member's row does not open it, and the database keeps it.
    let vault = Vault::new(&Secrets::new(&[7; 32]), &[]).unwrap();
    assert!(vault.open("wallet:mem_other", &sealed).is_err());
    let store = world.store().await;
    for change in [
        "UPDATE wallets SET data = wrapped_key",
        "UPDATE wallets SET address = 'x'",
        "UPDATE wallets SET closed_at = 1",
        "DELETE FROM wallets",
    ] {
        let mut write = store.write().await.unwrap();
        let done = sqlx::query(change).execute(&mut *write).await;
        assert!(done.is_err(), "{change}");
    }
    // Under a new master key it is wrapped anew and is the same key.
    let new = Vault::new(&Secrets::new(b"new"), &[Secrets::new(&[7; 32])]).unwrap();
    let rows = store
        .wallets_under_other_keys(new.key_id(), 10)
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    let name = format!("wallet:{member}");
    let wrapped = new.rewrap(&name, &sealed).unwrap();
    assert!(
        store
            .rewrap_wallet(&member, &sealed, &wrapped)
            .await
            .unwrap()
    );
    assert!(
        !store
            .rewrap_wallet(&member, &sealed, &wrapped)
            .await
            .unwrap()
    );
    let alone = Vault::new(&Secrets::new(b"new"), &[]).unwrap();
    let row = store.wallet("demo", &member).await.unwrap().unwrap();
    assert_eq!(
        alone.open(&name, &row.sealed.unwrap()).unwrap(),
        secret.as_slice()
    );
    store.close().await;
    gateway.stop().await;
}

/// Sends the withdrawal and waits until it is answered or the gateway is to die.
async fn send_or_die(world: &World, gateway: &Gateway, path: &str, body: &Value) -> bool {
    let answered = async {
        while let Ok(answer) = world.post(gateway, path, "crash", body).send().await {
            if answer.status() != StatusCode::CONFLICT {
                let _ = answer.bytes().await;
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        biased;
        () = world.gate.tripped() => true,
        () = answered => false,
    }
}

async fn killed_once(on: &Databases, kill: Kill) -> bool {
    let world = world(on, Rules::default()).await;
    let gateway = world.gateway().await;
    let client = client::client(&gateway, KEY);
    let member = link(&client).await;
    fill(&client, &member, "100").await;
    let wallet = client.wallet(&member).await.unwrap().address;
    let path = format!("/v1/members/{member}/wallet/withdrawals");
    let body = json!({ "receiver": RECEIVER, "points": "1000" });
    world.gate.arm(kill);
    let died = send_or_die(&world, &gateway, &path, &body).await;
    gateway.kill().await;
    world.gate.disarm();
    let gateway = world.gateway().await;
    let view = until("the withdrawal is answered", async || {
        let answer = world
            .post(&gateway, &path, "crash", &body)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let view: Value = answer.json().await.unwrap();
        match status {
            StatusCode::CONFLICT => Err(view),
            StatusCode::CREATED | StatusCode::ACCEPTED => Ok(view),
            other => panic!("{kill:?}: {other} {view}"),
        }
    })
    .await;
    let client = client::client(&gateway, KEY);
    let id = view["id"].as_str().unwrap();
    let done = client.withdrawn(id, PATIENCE).await.unwrap();
    assert_eq!(done.state, "completed", "{kill:?}");
    assert_eq!(received(&world), U256::from(1_000 * POINT), "{kill:?}");
    assert_eq!(
        world.chain.ledger.lock().unwrap().transfers.len(),
        1,
        "{kill:?}"
    );
    assert_eq!(world.chain.most_signatures(), 1, "{kill:?}: signed twice");
    let all: Vec<_> = client
        .withdrawals(WithdrawalQuery::default())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(all, [done], "{kill:?}");
    assert_custody(&world, &gateway, &wallet).await;
    gateway.stop().await;
    died
}

async fn killed_at_every_effect_of_a_withdrawal(on: &Databases) {
    for kill in [Kill::Before as fn(u32) -> Kill, Kill::After] {
        let mut first = 1;
        // Side by side: a case mostly waits.
        loop {
            let cases = (first..first + 5).map(|at| killed_once(on, kill(at)));
            if future::join_all(cases).await.contains(&false) {
                break;
            }
            first += 5;
            assert!(first < MOST_EFFECTS, "it does not end");
        }
        // The key's claim, four looks at the chain, two commits and a broadcast at least.
        assert!(first >= 6, "it ended at {first}");
    }
}

#[test]
fn the_chain_of_the_tests_takes_what_the_real_one_takes() {
    for (amount, fee) in [
        (0, 0),
        (333, 0),
        (334, 1),
        (POINT, 3_000),
        (u64::MAX, 300_000_000),
    ] {
        assert_eq!(
            transfer_fee(U256::from(amount)),
            U256::from(fee),
            "{amount}"
        );
    }
}
