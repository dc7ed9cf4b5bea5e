// The program under test. It starts a payment with Flinks Pay and returns the payer's link.

async function post(url, init) {
  const response = await fetch(url, { method: "POST", ...init });
  if (!response.ok) throw new Error(`${new URL(url).pathname} failed: ${response.status}`);
  return response.json();
}

export async function startPayment(env) {
  const url = env.FLINKS_PAY_URL;
  const form = new URLSearchParams({
    grant_type: "client_credentials",
    Username: env.FLINKS_PAY_USERNAME,
    Password: env.FLINKS_PAY_PASSWORD,
  });
  const { access_token } = await post(`${url}/api/v1/authorize`, { body: form });
  const json = (body) => ({
    headers: { authorization: `Bearer ${access_token}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const session = { referenceId: "1", amount: 10.5, customerName: "A", customerEmail: "a@example.com" };
  // This request spends the token, so it must never be repeated with the same token.
  const { sessionId } = await post(`${url}/api/v1/sessions/initiate`, json(session));
  await post(`${url}/api/v1/paymentrequests`, json({ sessionId }));
  return `${url}/app/?${new URLSearchParams({ sessionId })}`;
}
