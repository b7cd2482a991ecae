// Every word of the page, in both languages.

const WORDS = {
  en: {
    skip: "Skip to the swap",
    language: "Language",
    title: "Swap points and coin",
    account: "Your account",
    noWallet: "No wallet was found in this browser. Install one, then reload this page.",
    connect: "Connect",
    leave: "Disconnect",
    network: "Add the MileVerse network to the wallet",
    swap: "Swap",
    direction: "What for what",
    sellPoints: "Points to coin (MVP → MVC)",
    sellCoin: "Coin to points (MVC → MVP)",
    amount: "Amount to give",
    slippage: "If the price moves, at most",
    review: "Review",
    progress: "Progress",
    history: "History",
    noHistory: "Nothing yet.",
    about: "About to be signed",
    checkIt: "Compare this with what your wallet shows. Nothing happens before you confirm there.",
    cancel: "Cancel",
    confirm: "Sign in the wallet",
    footer: "Keys and seed words never leave your wallet. 0.30 % of each swap goes to those who provide the pool.",
    receive: "You receive",
    least: "At least",
    fee: "Fee, included",
    rate: "Rate",
    duration: "How long it takes",
    seconds: "about one second after signing",
    forOne: "for 1 MVC",
    step: "Step",
    allow: "Allow the pool to take these points",
    doSwap: "Swap",
    waiting: "waiting for your signature",
    pending: "signed, waiting for a block",
    unknown: "signed, not seen by the chain yet",
    final: "final",
    failed: "refused by the chain; nothing moved",
    refused: "You declined it in the wallet; nothing was signed.",
    wrongNetwork: "Your wallet is on another network.",
    offline: "The server does not answer. Check the connection; nothing was lost.",
    later: "The first step allows the pool to take the points; then the swap is shown again before you sign it.",
    received: "received", sent: "sent", made: "issued", left: "left", swapped: "swapped",
    provided: "provided", withdrawn: "withdrawn",
    "name.network": "network", "name.account": "account", "name.action": "action", "name.to": "to",
    "name.who": "who", "name.give": "give", "name.receive": "receive",
    "name.receive at least": "receive at least", "name.give at most": "give at most",
    "name.good until": "good until", "name.sent along": "sent along", "name.gas": "gas",
  },
  ko: {
    skip: "교환으로 건너뛰기",
    language: "언어",
    title: "포인트와 코인 교환",
    account: "내 계정",
    noWallet: "이 브라우저에서 지갑을 찾지 못했습니다. 지갑을 설치한 뒤 새로고침해 주세요.",
    connect: "연결",
    leave: "연결 끊기",
    network: "지갑에 MileVerse 네트워크 추가",
    swap: "교환",
    direction: "교환 방향",
    sellPoints: "포인트를 코인으로 (MVP → MVC)",
    sellCoin: "코인을 포인트로 (MVC → MVP)",
    amount: "보낼 수량",
    slippage: "가격이 움직일 때 허용 범위",
    review: "확인하기",
    progress: "진행 상황",
    history: "내역",
    noHistory: "아직 내역이 없습니다.",
    about: "서명할 내용",
    checkIt: "지갑에 표시되는 내용과 비교해 주세요. 지갑에서 확인하기 전에는 아무 일도 일어나지 않습니다.",
    cancel: "취소",
    confirm: "지갑에서 서명",
    footer: "키와 복구 단어는 지갑 밖으로 나가지 않습니다. 교환마다 0.30 %가 유동성 제공자에게 지급됩니다.",
    receive: "받을 수량",
    least: "최소 수령",
    fee: "수수료 (포함)",
    rate: "교환 비율",
    duration: "소요 시간",
    seconds: "서명 후 약 1초",
    forOne: "/ 1 MVC",
    step: "단계",
    allow: "풀이 이 포인트를 가져가도록 허용",
    doSwap: "교환",
    waiting: "서명을 기다리는 중",
    pending: "서명됨, 블록을 기다리는 중",
    unknown: "서명됨, 체인에서 아직 확인되지 않음",
    final: "확정",
    failed: "체인이 거절함, 아무것도 이동하지 않았습니다",
    refused: "지갑에서 거절했습니다. 아무것도 서명되지 않았습니다.",
    wrongNetwork: "지갑이 다른 네트워크에 연결되어 있습니다.",
    offline: "서버가 응답하지 않습니다. 연결을 확인해 주세요. 잃은 것은 없습니다.",
    later: "첫 단계는 풀이 포인트를 가져가도록 허용합니다. 그다음 교환 내용을 다시 보여 드린 뒤 서명합니다.",
    received: "받음", sent: "보냄", made: "발행", left: "나감", swapped: "교환",
    provided: "예치", withdrawn: "회수",
    "name.network": "네트워크", "name.account": "계정", "name.action": "동작", "name.to": "받는 곳",
    "name.who": "대상", "name.give": "보낼 수량", "name.receive": "받을 수량",
    "name.receive at least": "최소 수령", "name.give at most": "최대 지급",
    "name.good until": "유효 기한", "name.sent along": "함께 보내는 코인", "name.gas": "가스",
  },
};

const KEY = "mileverse.language";
let language = localStorage.getItem(KEY) ?? (navigator.language?.startsWith("ko") ? "ko" : "en");
if (!(language in WORDS)) language = "en";

export const current = () => language;
export const say = (key) => WORDS[language][key] ?? WORDS.en[key] ?? key;
/** A name out of the server's list of what is signed. */
export const name = (text) => WORDS[language][`name.${text}`] ?? text;

export function choose(next) {
  language = next in WORDS ? next : "en";
  localStorage.setItem(KEY, language);
  translate();
}

export function translate() {
  document.documentElement.lang = language;
  document.title = `MileVerse · ${say("swap")}`;
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
}
