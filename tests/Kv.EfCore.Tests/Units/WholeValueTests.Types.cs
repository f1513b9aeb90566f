using System.Collections;
using System.ComponentModel;
using System.Text.Json.Serialization;

namespace Kv.Tests.Units;

#pragma warning disable SA1201, CA1051, CA1812, CA1822, CA1823, CA1852, IDE0051, IDE0052 // Types as users write them.

public sealed partial class WholeValueTests
{
    internal interface INamed
    {
        string Name { get; }
    }

    [JsonDerivedType(typeof(Circle), "circle")]
    [JsonDerivedType(typeof(Square), "square")]
    internal abstract record Shape;

    internal sealed record Circle(double Radius) : Shape;

    internal sealed record Square(double Side) : Shape;

    internal sealed record Triangle(double Side) : Shape;

    internal record Animal(string Name) : INamed;

    internal sealed record Dog(string Name, string Breed) : Animal(Name);

    internal sealed record Cat(string Name) : Animal(Name);

    internal sealed record Owner(Animal? Pet)
    {
        public INamed? Named { get; init; }
    }

    internal sealed record Holder(object Held);

    internal sealed record Empty;

    internal sealed class EmptyClass;

    internal sealed record Shown(string Text);

    internal sealed class Fields
    {
        public int Number;
        public string? Text;
    }

    internal sealed record Computed(string First, string Last)
    {
        public string Full => $"{First} {Last}";
    }

    internal sealed class Kept(int number)
    {
        public int Number => number;
    }

    internal sealed class Written
    {
        public decimal Amount { get; set; }

        public double Rate { get; init; }
    }

    internal sealed class HandWritten
    {
        private double _celsius;

        public double Celsius
        {
            get => _celsius;
            set => _celsius = value;
        }
    }

    internal sealed class Ignoring
    {
        public int Kept { get; set; }

        [JsonIgnore]
        public int Left { private get; set; }

        [NonSerialized]
        private int _cache = 3;

        public int UseCache() => _cache++;
    }

    internal sealed class Notifying : INotifyPropertyChanged
    {
        public event PropertyChangedEventHandler? PropertyChanged;

        public int Number
        {
            get;
            set
            {
                field = value;
                PropertyChanged?.Invoke(this, new(nameof(Number)));
            }
        }
    }

    internal sealed class Own(IReadOnlyList<string> tags)
    {
        private readonly IReadOnlyList<string> _tags = tags;

        public IReadOnlyList<string> Tags => _tags;
    }

    internal sealed class Private(int number)
    {
        private readonly int _number = number;

        public int Number() => _number;
    }

    internal sealed class GetOnly
    {
        public GetOnly()
        {
        }

        public GetOnly(string text) => Text = text;

        public string? Text { get; }
    }

    internal sealed class PrivateSet
    {
        public PrivateSet()
        {
        }

        public PrivateSet(int number) => Number = number;

        public int Number { get; private set; }
    }

    internal sealed class GetOnlyList
    {
        public List<string> Lines { get; } = [];
    }

    internal sealed class ReadOnlyField
    {
        public readonly int Number;

        public ReadOnlyField()
        {
        }

        public ReadOnlyField(int number) => Number = number;
    }

    internal sealed class Mismatched(IEnumerable<int> items)
    {
        public IReadOnlyList<int> Items { get; init; } = [.. items];
    }

    internal readonly struct ReadOnlyMoney(decimal amount)
    {
        public decimal Amount { get; } = amount;
    }

    internal sealed class Factory
    {
        private Factory()
        {
        }

        public int Number { get; set; }

        public static Factory Create() => new();
    }

    internal class Shadowed
    {
        public int Number { get; set; }
    }

    internal sealed class Shadowing : Shadowed
    {
        public new int Number { get; set; }
    }

    internal sealed class Picky(string text)
    {
        public string Text { get; } = text ?? throw new ArgumentNullException(nameof(text));
    }

    internal sealed class Node
    {
        public Node? Next { get; set; }

        public static Node Cycle()
        {
            var node = new Node();
            node.Next = node;
            return node;
        }
    }

    internal sealed class NamedList : List<int>
    {
        public string? Name { get; set; }
    }

    internal sealed class Bag : ICollection<int>
    {
        private readonly List<int> _items = [];

        public int Count => _items.Count;

        public bool IsReadOnly => false;

        public void Add(int item) => _items.Add(item);

        public void Clear() => _items.Clear();

        public bool Contains(int item) => _items.Contains(item);

        public void CopyTo(int[] array, int arrayIndex) => _items.CopyTo(array, arrayIndex);

        public IEnumerator<int> GetEnumerator() => _items.GetEnumerator();

        public bool Remove(int item) => _items.Remove(item);

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }

    internal sealed class NamedBag(string name) : IEnumerable<int>
    {
        public string Name { get; } = name;

        public IEnumerator<int> GetEnumerator() => Enumerable.Empty<int>().GetEnumerator();

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
