/** Put values into words: money, days, moments. Amounts are texts and stay exact. */

const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export const STATUS = { pending: "Pending", shipped: "Shipped", cancelled: "Cancelled" };

/** An amount as whole cents, exactly; null where it is none. Decimals may come as 1E+2. */
function cents(amount) {
  const parts = /^(\d+)(?:\.(\d*))?(?:e\+?(\d{1,3}))?$/i.exec(String(amount).trim());
  if (!parts) return null;
  const [, whole, places = "", power = "0"] = parts;
  const zeros = Number(power) + 2 - places.length;
  return zeros < 0 ? null : BigInt(whole + places) * 10n ** BigInt(zeros);
}

/** "1234.5" as 1,234.50; what is no amount stays as it is. */
export function money(amount) {
  const exact = cents(amount);
  return exact === null ? amount : inMoney(exact);
}

/** What so many at a price come to, in cents; null where one of the two is none. */
export function amountOf(quantity, price) {
  const each = cents(price);
  return each === null || !/^\d+$/.test(String(quantity).trim()) ? null : BigInt(quantity) * each;
}

/** Cents as an amount. */
export function inMoney(exact) {
  const digits = exact.toString().padStart(3, "0");
  return `${grouped(digits.slice(0, -2))}.${digits.slice(-2)}`;
}

export function grouped(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ",");
}

export function day(iso) {
  const at = new Date(`${iso}T00:00:00Z`);
  return Number.isNaN(at.getTime()) ? iso : DAY.format(at);
}

export function moment(iso) {
  const at = new Date(iso);
  return Number.isNaN(at.getTime()) ? iso : MOMENT.format(at);
}

export function counted(number, one, many) {
  return `${grouped(number)} ${number === 1 ? one : many}`;
}
