#:property PublishAot=false
// Writes the sample's orders: dotnet run --file samples/WorkerApp/make-orders.cs [COUNT] [SEED] > samples/WorkerApp/orders.jsonl
// The same count and seed give the same orders.
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;

var count = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 2500;
var random = new Random(args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 42);
var json = new JsonSerializerOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
string[] given = ["Ana", "Björn", "Chloé", "Đorđe", "Elif", "Fatima", "Güneş", "Hiroshi", "Íñigo", "Jürgen", "Κώστας", "Łucja", "Мария", "নীলা", "Oğuz", "李娜", "דוד", "يوسف"];
string[] family = ["Ångström", "Brown", "Çelik", "Dvořák", "Eriksen", "García", "Иванова", "Kowalski", "Müller", "Nguyễn", "O'Neill", "Sørensen", "田中", "Weiß"];
string[] items = ["coffee ☕", "tea", "notebook", "pencils", "lamp", "bicycle 🚲", "crème brûlée", "\"quoted\" mug", "chair", "umbrella", "piano lessons", "socks"];
string[] currencies = ["EUR", "EUR", "EUR", "USD", "USD", "GBP", "CHF"];
var customers = Enumerable.Range(0, 120).Select(_ => $"{Pick(given)} {Pick(family)}").Distinct().ToArray();

using var output = new StreamWriter(Console.OpenStandardOutput()) { NewLine = "\n" };
for (var id = 1; id <= count; id++)
{
    // A few customers order much more than the others.
    var customer = customers[(int)(customers.Length * random.NextDouble() * random.NextDouble())];
    var order = new Dictionary<string, object>
    {
        ["id"] = id,
        ["day"] = new DateOnly(2026, 3, 1).AddDays((int)(14L * id / (count + 1))),
        ["customer"] = customer,
        ["item"] = Pick(items),
        ["cents"] = (long)Math.Pow(10, 2 + (3.5 * random.NextDouble())),
        ["currency"] = Pick(currencies),
    };
    switch (random.Next(100))
    {
        case 0 when random.Next(2) == 0: order["cents"] = -(long)order["cents"]; break; // poison
        case 0: order["currency"] = "XXX"; break; // poison
        case < 4: order["flaky"] = random.Next(1, 4); break; // fails, then succeeds
        default: break;
    }

    output.WriteLine(JsonSerializer.Serialize(order, json));
}

string Pick(string[] choices) => choices[random.Next(choices.Length)];
